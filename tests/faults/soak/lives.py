"""What people do with the server. Each life ends with what it has begun, so a run leaves behind what it has found."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from tests.faults.soak.calls import Calls, Inbox
from tests.process.server_process import DEADLINE_SECONDS
from tests.running import PASSWORD

NEW_PASSWORD = "another horse, another battery"
_PAGES = ("/console", "/sign-in", "/sign-up", "/invitation", "/reset-password", "/confirm-email", "/account", "/docs")
_DOCUMENTS = ("/openapi.json", "/.well-known/jwks.json", "/pages/settings", "/health/live", "/health/ready", "/inspect")
_TOKEN_SECONDS = 5
_LONGEST_LIFE_SECONDS = 120
PUBLIC_URL = "http://127.0.0.1:9"

Life = Callable[[], Awaitable[None]]


class Lives:
    """All of them. Each may be lived by several at once."""

    def __init__(self, call: Calls, inbox: Inbox, admin_password: str) -> None:
        self._call = call
        self._inbox = inbox
        self._admin_password = admin_password
        self._numbers = itertools.count()
        self._admin: tuple[float, str] = (0.0, "")
        # When each user that is not yet deleted was made.
        self._made: dict[str, float] = {}

    def all(self) -> tuple[Life, ...]:
        return (
            self.member,
            self.browser,
            self.forgetful,
            self.registers,
            self.invited,
            self.admin,
            self.visitor,
            self.locks_out,
            self.sweeps,
        )

    async def admin_token(self) -> str:
        since, token = self._admin
        if time.monotonic() - since > _TOKEN_SECONDS:
            body = {"username": "admin", "password": self._admin_password}
            token = (await self._call("POST /login", body=body))["token"]
            self._admin = (time.monotonic(), token)
        return token

    async def new_user(self, **changes: object) -> tuple[str, str]:
        """Name and id."""
        name = f"user{next(self._numbers)}"
        user = {"username": name, "name": name, "role": "customer", "password": PASSWORD} | changes
        made = await self._call("POST /users", 201, token=await self.admin_token(), body=user)
        self._made[made["user"]["id"]] = time.monotonic()
        return name, made["user"]["id"]

    async def delete(self, user_id: str) -> None:
        await self._call("DELETE /users/{user_id}", 204, token=await self.admin_token(), user_id=user_id)
        self._made.pop(user_id, None)

    async def sweeps(self) -> None:
        """Deletes the users of lives that were cut short, on a machine that is busy with something else."""
        long_ago = time.monotonic() - _LONGEST_LIFE_SECONDS
        for user_id in [user_id for user_id, at in self._made.items() if at < long_ago]:
            del self._made[user_id]
            await self._call("DELETE /users/{user_id}", (204, 404), token=await self.admin_token(), user_id=user_id)

    async def member(self) -> None:
        """Sessions, an address, the password; and an admin who ends it all."""
        call = self._call
        name, user_id = await self.new_user()
        login = {"username": name, "password": PASSWORD}
        phone, tokens = await call("POST /login", body=login), await call("POST /login", body=login | {"cookie": False})
        for _ in range(2):
            tokens = await call("POST /refresh", body={"refresh_token": tokens["refresh_token"]})
            await call("GET /me", token=tokens["token"])
            await call("GET /verify", 204, token=tokens["token"], query={"role": "customer"})
        token = tokens["token"]
        await call("PATCH /me", token=token, body={"name": "Another"})
        await call("GET /me/sign-ins", token=token)
        await call("POST /reauthenticate", token=token, body={"password": PASSWORD})
        email = f"{name}@soak.example"
        await call("POST /me/emails", 202, token=token, body={"email": email})
        code = await self._inbox.code(email, "onfirm")
        [entry] = (await call("GET /me/emails", token=token))["emails"]
        await call("POST /me/emails/{email_id}/send", 202, token=token, email_id=entry["id"])
        code = await self._inbox.code(email, "onfirm")
        await call("POST /email/confirm", 204, body={"email": email, "code": code})
        await call("POST /me/emails/{email_id}/primary", 204, token=token, email_id=entry["id"])
        await call("DELETE /me/emails/{email_id}", 204, token=token, email_id=entry["id"])
        # On a busy machine the token may be about to expire.
        token = (await call("POST /refresh", body={"refresh_token": tokens["refresh_token"]}))["token"]
        for session in (await call("GET /me/sessions", token=token))["sessions"]:
            if not session["current"]:
                await call("DELETE /me/sessions/{session_id}", 204, token=token, session_id=session["id"])
        await call("POST /refresh", 401, body={"refresh_token": phone["refresh_token"]})
        await call("POST /login", body=login)
        await call("DELETE /me/sessions", 204, token=token)
        await call(
            "POST /me/password", 204, token=token, body={"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        )
        again = await call("POST /login", body=login | {"password": NEW_PASSWORD})
        admin = await self.admin_token()
        await call("GET /users/{user_id}/sessions", token=admin, user_id=user_id)
        await call("DELETE /users/{user_id}/sessions", 204, token=admin, user_id=user_id)
        deadline = time.monotonic() + DEADLINE_SECONDS
        # Another worker hears of it within a second.
        while "user" in await call("GET /me", (200, 401), token=again["token"]):
            assert time.monotonic() < deadline, "the session goes on"
            await asyncio.sleep(0.05)
        await call(
            "POST /logout", 204, token=(await call("POST /login", body=login | {"password": NEW_PASSWORD}))["token"]
        )
        await self.delete(user_id)

    async def browser(self) -> None:
        """The refresh token is in a cookie, beside that of the device."""
        call = self._call
        name, user_id = await self.new_user()
        cookies: dict[str, str] = {}
        origin = {"Origin": PUBLIC_URL}
        login = {"username": name, "password": PASSWORD, "cookie": True}
        for _ in range(2):
            await call("POST /login", body=login, headers=origin, cookies=cookies)
            for _ in range(2):
                await call("POST /refresh", headers=origin, cookies=cookies)
        assert len(cookies) >= 2, cookies
        await call("POST /logout", 204, headers=origin, cookies=cookies)
        await self.delete(user_id)

    async def forgetful(self) -> None:
        """Signs in by a mailed code, and forgets the password."""
        call = self._call
        email = f"forgetful{next(self._numbers)}@soak.example"
        name, user_id = await self.new_user(email=email)
        challenge = (await call("POST /login/code", 202, body={"identifier": name}))["challenge"]
        code = await self._inbox.code(email, "ign")
        await call("POST /login/code/confirm", body={"challenge": challenge, "code": code})
        await call("POST /password/forgot", 202, body={"identifier": email})
        code = await self._inbox.code(email, "assword")
        await call("POST /password/reset", 204, body={"identifier": email, "code": code, "new_password": NEW_PASSWORD})
        reset = await call("POST /users/{user_id}/password-reset", token=await self.admin_token(), user_id=user_id)
        await call("POST /password/reset", 204, body={"reset_token": reset["reset_token"], "new_password": PASSWORD})
        await call("POST /login", body={"username": email, "password": PASSWORD})
        # One is asked for and never used.
        await call("POST /password/forgot", 202, body={"identifier": email})
        await self.delete(user_id)

    async def registers(self) -> None:
        """Two register; one of them never confirms the address, and is deleted for it."""
        call = self._call
        for confirms in (True, False):
            name = f"new{next(self._numbers)}"
            email = f"{name}@soak.example"
            body = {"username": name, "name": name, "password": PASSWORD, "email": email}
            made = await call("POST /sign-up", 201, body=body)
            if confirms:
                code = await self._inbox.code(email, "onfirm")
                await call("POST /email/confirm", 204, body={"email": email, "code": code})
                await call("POST /login", body={"username": name, "password": PASSWORD})
                await self.delete(made["user"]["id"])

    async def invited(self) -> None:
        """An invitation that is used, one that is withdrawn, and one that runs out."""
        call = self._call
        name = f"guest{next(self._numbers)}"
        made = await call("POST /invitations", 201, token=await self.admin_token(), body={"expires_in": 120})
        token = {"invitation_token": made["invitation_token"]}
        await call("POST /invitations/check", body=token)
        body = {"username": name, "name": name, "password": PASSWORD, "email": f"{name}@soak.example"} | token
        guest = await call("POST /sign-up", 201, body=body)
        await self.delete(guest["user"]["id"])
        other = await call(
            "POST /invitations",
            201,
            token=await self.admin_token(),
            body={"email": f"other{name}@soak.example", "expires_in": 30},
        )
        invitation_id = other["invitation"]["id"]
        await call(
            "DELETE /invitations/{invitation_id}", 204, token=await self.admin_token(), invitation_id=invitation_id
        )
        await call(
            "POST /invitations",
            201,
            token=await self.admin_token(),
            body={"email": f"nobody{name}@soak.example", "expires_in": 5},
        )
        await call("GET /invitations", token=await self.admin_token(), query={"limit": "5"})

    async def admin(self) -> None:
        """Looks at everything, retries mails, turns the keys."""
        call = self._call
        name, user_id = await self.new_user()
        found = await call("GET /users", token=await self.admin_token(), query={"q": name, "limit": "5"})
        assert [user["id"] for user in found["users"]] == [user_id]
        await call("GET /users/{user_id}", token=await self.admin_token(), user_id=user_id)
        await call(
            "PATCH /users/{user_id}",
            token=await self.admin_token(),
            user_id=user_id,
            body={"name": "Other", "username": f"{name}b"},
        )
        await call("PATCH /users/{user_id}", token=await self.admin_token(), user_id=user_id, body={"disabled": True})
        await call("GET /stats", token=await self.admin_token())
        await call("GET /routes", token=await self.admin_token())
        await call("GET /settings", token=await self.admin_token())
        await call("GET /explain", token=await self.admin_token(), query={"method": "GET", "path": "/users"})
        page = await call("GET /audit", token=await self.admin_token(), query={"target": user_id, "limit": "2"})
        await call("GET /audit", token=await self.admin_token(), query={"limit": "2", "cursor": page["next_cursor"]})
        await self._retries_a_mail(f"nobody{name}@soak.example")
        # A rotation may be under way already. The next key has signed nothing yet, so nobody is logged out.
        await call("POST /keys/rotate", (204, 409), token=await self.admin_token())
        keys = (await call("GET /keys", token=await self.admin_token()))["keys"]
        for kid in [key["kid"] for key in keys if key["state"] == "next"][:1]:
            await call("POST /keys/{kid}/revoke", (204, 404, 409), token=await self.admin_token(), kid=kid)
        await self.delete(user_id)

    async def _retries_a_mail(self, recipient: str) -> None:
        """Of an address that the mail server does not take."""
        call = self._call
        body = {"email": recipient, "expires_in": 30}
        await call("POST /invitations", 201, token=await self.admin_token(), body=body)
        deadline = time.monotonic() + DEADLINE_SECONDS
        refused: list[str] = []
        while not refused:
            assert time.monotonic() < deadline, f"the mail to {recipient} was never refused"
            await asyncio.sleep(0.1)
            given_up = {"state": "given_up", "limit": "200"}
            mails = (await call("GET /mails", token=await self.admin_token(), query=given_up))["mails"]
            refused = [mail["id"] for mail in mails if mail["recipient"] == recipient]
        await call("POST /mails/{mail_id}/retry", 204, token=await self.admin_token(), mail_id=refused[0])

    async def visitor(self) -> None:
        """Pages and files, twice: the second time nothing has changed."""
        call = self._call
        await call("GET /", 303)
        await call("GET /favicon.ico", (200, 303, 308))
        for path in (*_PAGES, *_DOCUMENTS):
            await call(f"GET {path}", headers={"Accept-Encoding": "gzip", "Accept-Language": "de"})
            await call(f"GET {path}", (200, 304), headers={"If-None-Match": "*"})
        for file in ("base.css", "api.js", "messages.en.json"):
            await call("GET /assets/{version}/{file}", version="x", file=file)
        await call("POST /inspect", body={"token": "eyJhbGciOiJub25lIn0.e30."})

    async def locks_out(self) -> None:
        """Wrong passwords, a refresh token that is used twice, and whoever leaves in between."""
        call = self._call
        name, user_id = await self.new_user()
        login = {"username": name, "password": PASSWORD}
        await call("POST /login", 400, body=login | {"password": "wrong"})
        await call("POST /login", 400, body={"username": f"nobody{next(self._numbers)}", "password": "wrong"})
        first = await call("POST /login", body=login)
        await call("POST /refresh", body={"refresh_token": first["refresh_token"]})
        # Longer than `sessions.retry_window_seconds`: it is taken for theft, and the session ends.
        await asyncio.sleep(1.2)
        await call("POST /refresh", 401, body={"refresh_token": first["refresh_token"]})
        # This one stays until it expires.
        await call("POST /login", body=login)
        await self.delete(user_id)
