"""Signing in by a mailed link or code: proves who somebody is. Opening the session is another step (Sessions.open)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from server.audit.model import AuditEvent, AuditNote
from server.audit.repository import AuditRepository
from server.authentication.errors import ChangedMeanwhile
from server.authentication.model import OTP_METHOD, Authenticated
from server.authentication.service import NOBODY, Authentication
from server.authentication.throttling import Throttle
from server.challenges.errors import CodeInvalid, LinkInvalid
from server.challenges.model import Challenge, Purpose
from server.challenges.service import Challenges
from server.core.clock import Clock
from server.emails.address import throttle_name
from server.recovery.model import ChallengeCode, Link
from server.recovery.proofs import Proofs
from server.users.model import Credentials
from server.users.repository import UserRepository


class SignInCodes:
    """Checks what was mailed to sign in with."""

    def __init__(
        self,
        *,
        challenges: Challenges,
        proofs: Proofs,
        authentication: Authentication,
        users: UserRepository,
        audit: AuditRepository,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._challenges = challenges
        self._proofs = proofs
        self._authentication = authentication
        self._users = users
        self._audit = audit
        self._throttle = throttle
        self._clock = clock

    @asynccontextmanager
    async def log_in(
        self, proof: Link | ChallengeCode, address: str | None, device_cookie: str | None
    ) -> AsyncIterator[Authenticated]:
        """Check a link or code. Open the session inside the block: it uses the challenge up, so only one gets it.

        Raises CodeInvalid, in the same words for whatever is wrong; CodeRequired, TooManyAttempts.
        """
        try:
            challenge = await self._proofs.look(Purpose.SIGN_IN, proof, address)
        except LinkInvalid:
            await self._note_failure(None, "wrong link")
            raise CodeInvalid from None
        except CodeInvalid as error:
            await self._note_failure(error.user_id, "wrong code")
            raise
        credentials = await self._credentials_for(challenge)
        user = credentials.user
        device_id = self._authentication.known_device(device_cookie, user.id)
        try:
            yield Authenticated(
                credentials, (OTP_METHOD,), device_id, use=partial(self._proofs.use, challenge=challenge)
            )
        except ChangedMeanwhile:
            await self._note_failure(user.id, "changed meanwhile")
            raise CodeInvalid from None
        # Wrong passwords may have locked the account, and this is the way in for its owner.
        await self._throttle.clear(throttle_name(user.username))

    async def _credentials_for(self, challenge: Challenge) -> Credentials:
        credentials = await self._challenges.credentials_of(challenge)
        if credentials is None:
            await self._note_failure(challenge.user_id, "no access any more")
            raise CodeInvalid
        return credentials

    async def _note_failure(self, user_id: str | None, reason: str) -> None:
        """The same work for a challenge that was never made, or the time would tell whose names there are."""
        found = await self._users.get_credentials(user_id or NOBODY)
        target_id, name = (None, None) if found is None else (found.user.id, found.user.username)
        note = AuditNote(AuditEvent.LOGIN_FAILED, self._clock.now_ms(), target_id, name, after={"reason": reason})
        await self._audit.record(note)
