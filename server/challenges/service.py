"""Making, looking at, using and ending challenges.

A code is counted before it is compared, in a transaction of its own, which also pays with the budgets of the client
and of all. So a crash, parallel requests and other nodes give nobody more codes than the limit. Where there is no
challenge, a code is counted and compared all the same, for what was meant: so the time tells nothing. A right code is
not counted in the end, nor does it cost anything.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from server.authentication.throttling import Throttle
from server.challenges.codes import new_code
from server.challenges.digests import ChallengeDigests
from server.challenges.errors import CodeInvalid, CodeRequired, LinkInvalid
from server.challenges.model import CODES, OPEN, Challenge, Digests, NewChallenge, Purpose, StoredChallenge
from server.challenges.repository import ChallengeRepository, Found
from server.core.clock import Clock
from server.core.ids import Ids, id_in
from server.database.driver import Driver, Transaction
from server.emails.address import address_keys
from server.emails.model import same_as
from server.emails.repository import EmailRepository
from server.users.model import Credentials
from server.users.repository import UserRepository
from watchword_client.encoding import encode_base64url

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look has found, and whether a code was counted for it and may be compared."""

    found: StoredChallenge
    by_browser: bool
    counted: bool


@dataclass(frozen=True, slots=True)
class _Counted:
    """A challenge, and the how manyth code was counted for it."""

    found: StoredChallenge
    number: int


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a code without a link is for: a column with a value. `text` is what was meant, if there is no such value."""

    found_by: Found
    value: str | None
    text: str


class Challenges:
    """Challenges of all purposes. `throttle` says how many are looked at."""

    def __init__(
        self,
        *,
        driver: Driver,
        repository: ChallengeRepository,
        users: UserRepository,
        emails: EmailRepository,
        throttle: Throttle,
        digests: ChallengeDigests,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._driver = driver
        self._repository = repository
        self._users = users
        self._emails = emails
        self._throttle = throttle
        self._digests = digests
        self._clock = clock
        self._ids = ids

    def make(
        self,
        purpose: Purpose,
        *,
        user_id: str,
        email: str,
        browser: str | None = None,
        browser_digest: bytes | None = None,
        password_changed_at: int = 0,
        challenge_id: str | None = None,
    ) -> NewChallenge:
        """A challenge with its secrets, which is not in the store yet.

        `browser` is the value of the browser cookie of who asks, or there is its digest. The id may have
        been told before.
        """
        now = self._clock.now_ms()
        new_id = challenge_id or self._ids.new_id()
        token = purpose.prefix + encode_base64url(self._ids.random_bytes(_TOKEN_BYTES))
        code = new_code(self._ids)
        challenge = Challenge(new_id, purpose, user_id, email, password_changed_at, now, now + purpose.life_ms)
        digests = Digests(
            self._digests.token(purpose, token),
            self._digests.code(purpose, new_id, code),
            browser_digest or self.browser_digest(browser),
        )
        return NewChallenge(challenge, token, code, digests)

    def browser_digest(self, cookie: str | None) -> bytes | None:
        """What the store keeps of the value of the browser cookie."""
        return self._digests.browser(cookie) if cookie else None

    async def insert(self, transaction: Transaction, new: NewChallenge, *, mailed: bool = True) -> bool:
        """Add a challenge to the store; False if its user is gone.

        A newer one to reset a password ends all older ones of the user; of the other purposes the newest stay. One that
        is not `mailed`, since there were too many mails, costs the same, but is of no use and ends no others. The row
        of the user is locked, so no other node adds one meanwhile. It must be the first row that is locked.
        """
        challenge = new.challenge
        if await self._users.lock(transaction, challenge.user_id) is None:
            return False
        kept = 0 if challenge.purpose is Purpose.RESET_PASSWORD else OPEN - 1
        await self._repository.end(
            transaction,
            challenge.purpose,
            challenge.user_id,
            challenge.created_at,
            but_newest=kept if mailed else OPEN,
        )
        ended_at = None if mailed else challenge.created_at
        await self._repository.insert(transaction, new, address_keys(challenge.email).email, ended_at)
        return True

    async def look(
        self,
        purpose: Purpose,
        *,
        address: str | None,
        token: str | None = None,
        code: str | None = None,
        browser: str | None = None,
        challenge_id: str | None = None,
        email_key: str | None = None,
        user_id: str | None = None,
        name: str | None = None,
    ) -> Challenge:
        """The challenge that somebody has the link or the code of. It is not used up.

        `address` is of the client. With `token`: the link, which needs no code in the `browser` that asked (the value
        of its cookie). Else the code of a challenge: of that id, of an address, or of the user that was meant by `name`
        (None: nobody); in a `browser` that has asked, only of the users for whom it has. Raises LinkInvalid,
        CodeRequired, CodeInvalid, TooManyAttempts.
        """
        if token is not None:
            return await self._look_at_link(purpose, address, token, code, browser)
        if challenge_id is not None:
            meant = _Meant("id", id_in(challenge_id), challenge_id)
        elif email_key is not None:
            meant = _Meant("email_key", email_key, email_key)
        else:
            meant = _Meant("user_id", user_id, user_id or name or "")
        return await self._look_at_code(purpose, address, meant, code or "", self.browser_digest(browser))

    async def use(self, transaction: Transaction, challenge: Challenge) -> bool:
        """Use it up; False if it was used, ended or has expired meanwhile. Lock the row of its user before."""
        return await self._repository.use(transaction, challenge.id, self._clock.now_ms())

    async def end_all(self, transaction: Transaction, user_id: str) -> None:
        """End what a new password makes useless: all resets and sign-ins of a user, whose row is locked."""
        now = self._clock.now_ms()
        for purpose in (Purpose.RESET_PASSWORD, Purpose.SIGN_IN):
            await self._repository.end(transaction, purpose, user_id, now)

    async def credentials_of(self, challenge: Challenge) -> Credentials | None:
        """The account to which a challenge gives access; None if it gives none any more.

        That is so if the account is gone or disabled, if its password was set since, or if the address is not verified
        as its own any more.
        """
        credentials = await self._users.get_credentials(challenge.user_id)
        if credentials is None or credentials.user.disabled:
            return None
        if credentials.password_changed_at != challenge.password_changed_at:
            return None
        held = same_as(challenge.email, await self._emails.list_emails(challenge.user_id))
        return credentials if held is not None and held.verified else None

    async def _look_at_link(
        self, purpose: Purpose, address: str | None, token: str, code: str | None, browser: str | None
    ) -> Challenge:
        digest, browser_digest = self._digests.token(purpose, token), self.browser_digest(browser)
        now = self._clock.now_ms()

        async def unit(transaction: Transaction) -> _Seen | None:
            await self._throttle.spend_look(transaction, address, link=True)
            found = await self._repository.find_by_token(transaction, purpose, digest, now)
            if found is None:
                return None
            if _same(found.digests.browser, browser_digest):
                return _Seen(found, by_browser=True, counted=False)
            counted = code is not None and await self._count(transaction, found, link=True) <= CODES
            return _Seen(found, by_browser=False, counted=counted)

        seen = await self._driver.write(unit)
        if seen is None:
            raise LinkInvalid("The token is of no challenge that is open.")
        challenge = seen.found.challenge
        if not seen.by_browser and code is not None:
            if not seen.counted or not self._is_code(seen.found, code):
                raise CodeInvalid(challenge.user_id)
            await self._refund(address, challenge, link=True)
            return challenge
        await self._refund(address, None, link=True)
        if not seen.by_browser:
            raise CodeRequired
        return challenge

    async def _look_at_code(
        self, purpose: Purpose, address: str | None, meant: _Meant, code: str, browser_digest: bytes | None
    ) -> Challenge:
        now, nobodys = self._clock.now_ms(), _nobodys(purpose, f"{purpose} {meant.found_by} {meant.text}")

        async def unit(transaction: Transaction) -> list[_Counted]:
            await self._throttle.spend_look(transaction, address, link=False)
            # No id and no key is empty.
            there = await self._repository.find(transaction, purpose, meant.found_by, meant.value or "", now)
            there = _of_the_same_users(there, browser_digest)
            return [_Counted(one, await self._count(transaction, one, link=False)) for one in there or [nobodys]]

        counted = await self._driver.write(unit)
        right = [one.found.challenge for one in counted if one.number <= CODES and self._is_code(one.found, code)]
        if not right:
            raise CodeInvalid(_whose_last(counted))
        await self._refund(address, right[0], link=False)
        return right[0]

    async def _count(self, transaction: Transaction, stored: StoredChallenge, *, link: bool) -> int:
        """Count a code for a challenge. Returns the how manyth it is: beyond CODES it is not looked at."""
        return await self._throttle.count_code(transaction, stored.challenge.id, link=link)

    def _is_code(self, stored: StoredChallenge, code: str) -> bool:
        challenge = stored.challenge
        return _same(stored.digests.code, self._digests.code(challenge.purpose, challenge.id, code))

    async def _refund(self, address: str | None, counted_for: Challenge | None, *, link: bool) -> None:
        """Give back what a look has cost that was at the right one."""

        async def unit(transaction: Transaction) -> None:
            await self._throttle.refund_look(transaction, address, link=link)
            if counted_for is not None:
                await self._throttle.uncount_code(transaction, counted_for.id, link=link)

        await self._driver.write(unit)


def _whose_last(counted: list[_Counted]) -> str | None:
    """The user for whose challenge this was the last code; None if it was for nobody, or none of the last.

    Whoever notes a failure of somebody does more than for nobody. So that happens once for a challenge: the time of ten
    would tell whether there is one.
    """
    return next((one.found.challenge.user_id or None for one in counted if one.number == CODES), None)


def _of_the_same_users(there: list[StoredChallenge], browser_digest: bytes | None) -> list[StoredChallenge]:
    """Those of the users for whom this browser has asked, or all if it has not asked.

    A stranger can ask for a mail to the same address at the same moment, and both mails look alike. Whoever types the
    code of the wrong one must not give the stranger's account the address.
    """
    users = {one.challenge.user_id for one in there if _same(one.digests.browser, browser_digest)}
    return [one for one in there if one.challenge.user_id in users] if users else there


def _nobodys(purpose: Purpose, target: str) -> StoredChallenge:
    """What a code is counted for, and compared with, where there is no challenge. No code is right."""
    return StoredChallenge(Challenge(target, purpose, "", "", 0, 0, 0), Digests(b"", b"", None))


def _same(known: bytes | None, given: bytes | None) -> bool:
    return known is not None and given is not None and hmac.compare_digest(known, given)
