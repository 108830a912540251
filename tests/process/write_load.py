"""Clients that write as fast as they are answered, and remember what was acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.process.acknowledged import Acknowledged, Fact
from tests.process.clients import Clients, Told, until
from tests.running import PASSWORD

ROLE = "customer"
OTHER_ROLE = "support"
REFRESHES = 2
WRONG = "wrong otters juggle turnips"
CHANGED = "green herons borrow umbrellas"
RESET = "purple badgers repair seven kites"
# What servers under this load need. The mails go into a folder that the test chooses.
SETTINGS = {
    "WATCHWORD__REGISTRATION__MODE": "invitation",
    "WATCHWORD__ROLES": json.dumps(
        {ROLE: {}, OTHER_ROLE: {}, "admin": {"includes": [ROLE, OTHER_ROLE]}},
    ),
    "WATCHWORD__SERVER__PUBLIC_URL": "https://auth.example",
    "WATCHWORD__MAIL__FROM": "Example <auth@mail.example>",
    # All clients have one address, and some always type a wrong password.
    "WATCHWORD__LIMITS__ADDRESS_GUESSES_PER_HOUR": "1000000",
    "WATCHWORD__LIMITS__ALL_GUESSES_PER_HOUR": "3600000",
    "WATCHWORD__LIMITS__ADDRESS_MAILS_PER_HOUR": "1000000",
    "WATCHWORD__LIMITS__ALL_MAILS_PER_HOUR": "3600000",
    # The tokens are shown at the end.
    "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
    # The next rotation can follow after two seconds.
    "WATCHWORD__KEYS__JWKS_MAX_AGE_SECONDS": "1",
}


@dataclass
class _Account:
    """A user in the hands of a client."""

    number: int
    name: str
    user_id: str = ""
    session: str = ""
    steps: int = 0
    changes: int = 0
    token: str = ""


class Writers(Clients):
    """Clients that make every kind of change through the API, and remember what they were told."""

    # Whoever gives up while a server starts, asks again and goes on, has its first request in the queue of that server
    # still: if that is a refresh, and is done last, it is the use of an old token, which ends the session.
    patience_seconds = 45

    def __init__(self, address: str, admin_token: str) -> None:
        super().__init__([address])
        self.admin_token = admin_token
        self.known = Acknowledged()
        self._numbers = iter(range(1_000_000))

    async def _done(self, told: Told, expected: int, *, done_before: frozenset[int] = frozenset()) -> Told:
        """Require this status, or one of those that who repeats what was done already gets."""
        assert told.status == expected or (told.repeated and told.status in done_before), told
        self.known.answers += 1
        return told

    def _fact(self, told: Told, what: str, subject: str, value: int = 1) -> None:
        self.known.facts.append(Fact(told.request_id, what, subject, value))

    async def _one_user(self) -> None:
        """The life of a user. The number decides how it goes on."""
        number = next(self._numbers)
        account = _Account(number, f"user{number}")
        await (self._sign_up(account) if number % 4 == 3 else self._make(account))
        await self._log_in(account)
        await self._change_name(account)
        for _ in range(REFRESHES):
            await self._refresh(account)
        # The first one is asked for again and again, see `back_after`.
        if number and number % 5 == 0:
            await self._fail_to_log_in(account)
            await self._change_password(account)
        if number % 7 == 2:
            await self._invite(account)
            await self._rotate()
        ends: tuple[Callable[[_Account], Awaitable[None]], ...] = (
            self._log_out,
            self._change_role,
            self._delete,
            self._disable,
            self._end_others,
            self._reset_password,
            self._rename,
            self._end_one,
        )
        # Some sessions simply go on.
        if number % 9:
            await ends[number % 9 - 1](account)

    async def _make(self, account: _Account) -> None:
        user = {"username": account.name, "name": account.name, "role": ROLE, "password": PASSWORD}
        answer = await self.until_answered("POST", "/users", user, self.admin_token)
        await self._noted(account, await self._done(answer, 201, done_before=frozenset({409})))

    async def _sign_up(self, account: _Account) -> None:
        told = await self.until_answered("POST", "/invitations", {"uses": 1}, self.admin_token)
        invited = (await self._done(told, 201)).body
        self._fact(told, "invitation_created", invited["invitation"]["id"])
        user = {"username": account.name, "name": account.name, "password": PASSWORD}
        answer = await self.until_answered("POST", "/sign-up", user | {"invitation_token": invited["invitation_token"]})
        # The invitation counts for one, so who repeats a sign-up that was done is refused.
        await self._noted(account, await self._done(answer, 201, done_before=frozenset({400, 409})))
        self._fact(answer, "invitation_used", invited["invitation"]["id"])

    async def _noted(self, account: _Account, answer: Told) -> None:
        self.known.users.add(account.name)
        self._fact(answer, "user_created", account.name)
        if answer.status == 201:
            account.user_id = answer.body["user"]["id"]
            return
        found = await self.until_answered("GET", f"/users?q={account.name}", token=self.admin_token)
        account.user_id = next(user["id"] for user in found.body["users"] if user["username"] == account.name)

    async def _log_in(self, account: _Account) -> None:
        told = await self.until_answered("POST", "/login", {"username": account.name, "password": PASSWORD})
        await self._done(told, 200)
        self._keep(account, told)
        account.session = claims_of(account.token)["sid"]
        self._fact(told, "login_succeeded", account.user_id)

    def _keep(self, account: _Account, told: Told) -> None:
        account.token = told.body["token"]
        self.known.living[account.number] = told.body["refresh_token"]

    async def _refresh(self, account: _Account) -> None:
        # One that was cut off is repeated with the same token (docs/sessions.md), and takes no second step.
        told = await self.until_answered("POST", "/refresh", {"refresh_token": self.known.living[account.number]})
        await self._done(told, 200)
        self._keep(account, told)
        account.steps += 1
        self._fact(told, "step", account.session, account.steps)

    async def _change_name(self, account: _Account) -> None:
        told = await self.until_answered("PATCH", "/me", {"name": f"{account.name} renamed"}, account.token)
        await self._done(told, 200)
        self._changed(account, told)

    def _changed(self, account: _Account, told: Told) -> None:
        account.changes += 1
        self._fact(told, "user_changed", account.user_id, account.changes)

    async def _fail_to_log_in(self, account: _Account) -> None:
        told = await self.until_answered("POST", "/login", {"username": account.name, "password": WRONG})
        await self._done(told, 400)
        self._fact(told, "login_failed", account.user_id)

    async def _change_password(self, account: _Account) -> None:
        change = {"current_password": PASSWORD, "new_password": CHANGED}
        told = await self.until_answered("POST", "/me/password", change, account.token)
        # Who repeats it has the old password.
        await self._done(told, 204, done_before=frozenset({400}))
        self._fact(told, "password_changed", account.user_id)

    async def _invite(self, account: _Account) -> None:
        address = f"{account.name}@example.com"
        told = await self.until_answered("POST", "/invitations", {"email": address}, self.admin_token)
        await self._done(told, 201)
        self._fact(told, "invitation_created", address)
        self._fact(told, "mail", address)
        if account.number % 2:
            invitation_id = told.body["invitation"]["id"]
            told = await self.until_answered("DELETE", f"/invitations/{invitation_id}", token=self.admin_token)
            await self._done(told, 204, done_before=frozenset({404}))
            self._fact(told, "invitation_withdrawn", invitation_id)

    async def _rotate(self) -> None:
        told = await self.until_answered("POST", "/keys/rotate", token=self.admin_token)
        # 409: the one before it is under way.
        assert told.status in {204, 409}, told
        if told.status == 204:
            self.known.answers += 1
            self._fact(told, "keys_rotated", "")

    async def _log_out(self, account: _Account) -> None:
        told = await self.until_answered("POST", "/logout", token=account.token)
        await self._done(told, 204, done_before=frozenset({401}))
        self._fact(told, "logged_out", account.user_id)
        self._over(account)

    def _over(self, account: _Account) -> None:
        self.known.ended.append((account.token, self.known.living.pop(account.number)))

    async def _change_role(self, account: _Account) -> None:
        path = f"/users/{account.user_id}"
        told = await self.until_answered("PATCH", path, {"role": OTHER_ROLE}, self.admin_token)
        await self._done(told, 200)
        self._changed(account, told)
        await self._refresh(account)
        assert claims_of(account.token)["role"] == OTHER_ROLE

    async def _delete(self, account: _Account) -> None:
        told = await self.until_answered("DELETE", f"/users/{account.user_id}", token=self.admin_token)
        await self._done(told, 204, done_before=frozenset({404}))
        self.known.users.remove(account.name)
        self.known.deleted.add(account.name)
        self._fact(told, "user_deleted", account.user_id)
        self._over(account)

    async def _disable(self, account: _Account) -> None:
        for disabled in (True, False):
            path = f"/users/{account.user_id}"
            told = await self.until_answered("PATCH", path, {"disabled": disabled}, self.admin_token)
            await self._done(told, 200)
            self._changed(account, told)
        self._over(account)

    async def _log_in_again(self, account: _Account) -> tuple[str, str]:
        """Another session. Returns the tokens of the one before."""
        before = (account.token, self.known.living[account.number])
        login = {"username": account.name, "password": self._password_of(account)}
        self._keep(account, await self._done(await self.until_answered("POST", "/login", login), 200))
        return before

    def _password_of(self, account: _Account) -> str:
        return CHANGED if account.number and account.number % 5 == 0 else PASSWORD

    async def _end_one(self, account: _Account) -> None:
        before, ended = await self._log_in_again(account), account.session
        told = await self.until_answered("DELETE", f"/me/sessions/{ended}", token=account.token)
        await self._done(told, 204, done_before=frozenset({404}))
        self._fact(told, "sessions_ended", account.user_id)
        self.known.ended.append(before)

    async def _reset_password(self, account: _Account) -> None:
        """By an admin, whose answer has the token."""
        told = await self.until_answered("POST", f"/users/{account.user_id}/password-reset", token=self.admin_token)
        reset = {"reset_token": (await self._done(told, 200)).body["reset_token"], "new_password": RESET}
        told = await self.until_answered("POST", "/password/reset", reset)
        await self._done(told, 204, done_before=frozenset({400}))
        self._fact(told, "password_reset", account.user_id)
        self._over(account)

    async def _rename(self, account: _Account) -> None:
        body = {"password": self._password_of(account)}
        told = await self.until_answered("POST", "/reauthenticate", body, account.token)
        await self._done(told, 200)
        self._fact(told, "reauthenticated", account.user_id)
        name = f"{account.name}-renamed"
        # It may be done before the answer, whatever a list shows meanwhile.
        self.known.users.remove(account.name)
        told = await self.until_answered("PATCH", f"/users/{account.user_id}", {"username": name}, self.admin_token)
        await self._done(told, 200)
        self.known.users.add(name)
        self._fact(told, "user_renamed", account.user_id)

    async def _end_others(self, account: _Account) -> None:
        """All sessions but one that is new."""
        before = await self._log_in_again(account)
        told = await self.until_answered("DELETE", "/me/sessions", token=account.token)
        await self._done(told, 204)
        self._fact(told, "sessions_ended", account.user_id)
        self.known.ended.append(before)

    @contextlib.asynccontextmanager
    async def writing(self, count: int) -> AsyncIterator[None]:
        """So many clients write during the block. At its end each finishes what it has begun."""
        over = False

        async def write() -> None:
            while not over:
                await self._one_user()

        writers = [asyncio.create_task(write()) for _ in range(count)]
        try:
            yield
        finally:
            over = True
            await asyncio.gather(*writers)

    async def some_answers(self, count: int = 20) -> None:
        """Wait until so much more was acknowledged."""
        wanted = self.known.answers + count
        await until(lambda: self.known.answers >= wanted)

    async def back_after(self, begun: float) -> float:
        """The seconds from `begun` until a write is acknowledged: a login, which writes a session."""
        await self.until_answered("POST", "/login", {"username": "user0", "password": PASSWORD})
        return time.monotonic() - begun

    async def require_nothing_lost(self) -> None:
        """All users are there, sessions that go on go on, and what was ended is refused."""
        found = set()
        query = "/users?limit=200"
        while query:
            page = await self.until_answered("GET", query, token=self.admin_token)
            assert page.status == 200, page
            found |= {user["username"] for user in page.body["users"]}
            cursor = page.body.get("next_cursor")
            query = f"/users?limit=200&cursor={cursor}" if cursor else ""
        assert self.known.users <= found
        assert not self.known.deleted & found
        for number, refresh_token in self.known.living.items():
            answer = await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token})
            assert answer.status == 200, (number, answer)
        latest = [token for token, _ in self.known.ended[-20:]]
        for token, refresh_token in self.known.ended:
            # Each worker knows of the latest ones within a second, and of all others by now.
            while (told := await self.until_answered("GET", "/me", token=token)).status == 200:
                assert token in latest
            assert (told.status, told.body["code"]) == (401, "token_revoked")
            told = await self.until_answered("POST", "/refresh", {"refresh_token": refresh_token})
            assert told.status == 401


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says. It is not verified."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
