"""What is good in a request at the moment: tokens, cookies, mailed codes, the ids of what is there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from tests.client import connected
from tests.faults.fuzzed import PUBLIC_URL, ROLES
from tests.faults.mutation import Known
from tests.mail.received import Received, code_of
from tests.process.server_process import ServerProcess
from tests.running import PASSWORD

_NOBODY = "01990000-0000-7000-8000-00000000beef"
_MAILS = 5


class GoodValues:
    """Asks a server for them. What was sent since may have ended sessions, and more."""

    def __init__(self, server: ServerProcess, mails: Path) -> None:
        self._server = server
        self._mails = mails
        self._challenges = [_NOBODY]

    def now(self, key: str) -> Known:
        """`key` makes names that are not there yet."""
        call = self._server.call
        sessions = [self._server.log_in(f"{role}0", PASSWORD) for role in ROLES]
        tokens = [session["token"] for session in sessions]
        admin = tokens[0]
        status, made = call("POST", "/users", {"username": f"victim{key}", "name": "x", "role": "customer"}, admin)
        assert status == 201, made
        invitation = call("POST", "/invitations", {"uses": 3}, admin)[1]
        status, code = call("POST", "/login/code", {"identifier": "customer0"})
        if status == 202:
            self._challenges = [code["challenge"], *self._challenges][:_MAILS]
        return Known(
            tokens,
            {
                "token": tokens,
                "refresh_token": [session["refresh_token"] for session in sessions],
                "cookie": self._cookies(),
                "reset_token": [made["reset_token"], "wwp_x"],
                "invitation_token": [invitation["invitation_token"], "wwi_x"],
                "challenge": self._challenges,
                "code": ["7KQ4-XW2M", *self._codes()],
                "user_id": [made["user"]["id"], _NOBODY],
                "session_id": [_NOBODY],
                "email_id": [_NOBODY, *self._ids("/me/emails", "emails", admin)],
                "invitation_id": [invitation["invitation"]["id"], _NOBODY],
                "mail_id": [_NOBODY, *self._ids("/mails", "mails", admin)],
                # None of them signs: the sessions would be over.
                "kid": [key["kid"] for key in call("GET", "/keys", token=admin)[1]["keys"] if key["state"] != "active"],
                "version": ["x", "19f7e11c02b4ad86"],
                "file": ["base.css", "api.js", "../server.py", "x"],
                "username": ["admin0", "customer0", f"new{key}", "nobody"],
                "identifier": ["customer0", "nobody", "a@b.example"],
                "password": [PASSWORD, "wrong"],
                "current_password": ["wrong"],
                "new_password": [PASSWORD, "short"],
                "role": ["customer", "admin", "x"],
                "email": [f"a{key}@b.example", "lak@example.com", "customer0@mail.example"],
            },
        )

    def _ids(self, path: str, member: str, token: str) -> list[str]:
        return [entry["id"] for entry in self._server.call("GET", path, token=token)[1][member][:3]]

    def _cookies(self) -> list[str]:
        """Those of a session and of a device, as a browser sends them."""
        body: dict[str, Any] = {"username": "customer0", "password": PASSWORD, "cookie": True}
        with connected(int(self._server.address.rpartition(":")[2])) as client:
            answer = client.post("/login", body, [("Origin", PUBLIC_URL)])
        assert answer.status == 200
        return [value.partition(";")[0] for value in answer.values("Set-Cookie")]

    def _codes(self) -> list[str]:
        """Of the latest mails that have come."""
        found = []
        for file in sorted(self._mails.glob("*.eml"))[-_MAILS:]:
            # Others have no code.
            with contextlib.suppress(AssertionError):
                found.append(code_of(Received("", "", file.read_bytes())))
        return found
