"""Takes requests for mails. Nothing is looked up, so neither answer nor time tells whether a name is anybody's.

resolving.py answers them afterwards, in the background.
"""

from __future__ import annotations

from server.authentication.throttling import Throttle
from server.challenges.model import Purpose
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.core.ids import Ids
from server.core.language import best_language
from server.core.origin import current_origin
from server.database.driver import Driver, Transaction
from server.mail.outbox import Outbox
from server.mail.sealing import Sealing
from server.recovery.errors import SignInCodesOff
from server.recovery.model import MailRequest
from server.recovery.repository import MailRequestRepository
from server.settings import Settings


def sealed_in(request_id: str) -> str:
    """The context in which the name of a request is sealed."""
    return f"mail request {request_id}"


class MailRequests:
    """Notes what somebody asks for: one transaction, the same for every name."""

    def __init__(
        self,
        *,
        driver: Driver,
        repository: MailRequestRepository,
        challenges: Challenges,
        outbox: Outbox,
        sealing: Sealing,
        throttle: Throttle,
        clock: Clock,
        ids: Ids,
        settings: Settings,
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._challenges = challenges
        self._outbox = outbox
        self._sealing = sealing
        self._throttle = throttle
        self._clock = clock
        self._ids = ids
        self._settings = settings

    async def forgotten_password(self, identifier: str, address: str | None, browser: str) -> None:
        """Ask for a mail with which a password can be set. `address` is of the client, `browser` of its cookie.

        Raises MailNotConfigured, TooManyAttempts.
        """
        self._outbox.require_enabled()
        await self._ask(Purpose.RESET_PASSWORD, identifier, address, browser)

    async def sign_in_code(self, identifier: str, address: str | None, browser: str) -> str:
        """Ask for a code to sign in with. Returns the id of the challenge, whether there will be one or not.

        Raises MailNotConfigured, SignInCodesOff, TooManyAttempts.
        """
        self.require_sign_in_codes()
        return await self._ask(Purpose.SIGN_IN, identifier, address, browser)

    def require_sign_in_codes(self) -> None:
        """Raise MailNotConfigured or SignInCodesOff unless people may sign in by a mailed code."""
        self._outbox.require_enabled()
        if not self._settings.mail.sign_in_codes:
            raise SignInCodesOff

    async def _ask(self, purpose: Purpose, identifier: str, address: str | None, browser: str) -> str:
        request_id, challenge_id = self._ids.new_id(), self._ids.new_id()
        request = MailRequest(
            id=request_id,
            purpose=purpose.value,
            identifier=self._sealing.current().seal(identifier.encode("utf-8"), sealed_in(request_id)),
            browser_digest=self._challenges.browser_digest(browser),
            challenge_id=challenge_id,
            language=best_language(current_origin().languages, self._settings.pages.languages),
            created_at=self._clock.now_ms(),
        )

        async def unit(transaction: Transaction) -> None:
            await self._throttle.spend_mail_request(transaction, address)
            await self._repository.insert(transaction, request)

        await self._driver.write(unit)
        return challenge_id
