"""Requests that write, of each kind there is, and clients that leave before they are answered."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.attacked import Attacked
from tests.running import PASSWORD

NEW_PASSWORD = "another horse, another battery"
# Longer than the work of any of these requests, so some leave before it, in it, and after it.
LEAVING_SECONDS = 0.02


@dataclass(frozen=True)
class Writer:
    """A user with a session, whose requests are cut off."""

    number: int
    id: str
    username: str
    token: str
    refresh_token: str

    @property
    def email(self) -> str:
        return f"{self.username}@writers.example"


Body = dict[str, Any] | None
# For each kind: method, path, body, and who asks.
KINDS: dict[str, Callable[[Writer, str], tuple[str, str, Body, str | None]]] = {
    "login": lambda user, _: ("POST", "/login", {"username": user.username, "password": PASSWORD}, None),
    "refresh": lambda user, _: ("POST", "/refresh", {"refresh_token": user.refresh_token}, None),
    "reauthenticate": lambda user, _: ("POST", "/reauthenticate", {"password": PASSWORD}, user.token),
    "rename": lambda user, _: ("PATCH", "/me", {"name": f"Name {user.number}"}, user.token),
    "add an address": lambda user, _: ("POST", "/me/emails", {"email": user.email}, user.token),
    "forgotten password": lambda user, _: ("POST", "/password/forgot", {"identifier": user.username}, None),
    "sign-in code": lambda user, _: ("POST", "/login/code", {"identifier": user.username}, None),
    "sign up": lambda user, _: (
        "POST",
        "/sign-up",
        {
            "username": f"new{user.number}",
            "name": "New",
            "password": PASSWORD,
            "email": f"new{user.number}@writers.example",
        },
        None,
    ),
    "make a user": lambda user, admin: (
        "POST",
        "/users",
        {"username": f"made{user.number}", "name": "Made", "role": "customer", "password": PASSWORD},
        admin,
    ),
    "change a user": lambda user, admin: ("PATCH", f"/users/{user.id}", {"name": f"Changed {user.number}"}, admin),
    "ask for a reset": lambda user, admin: ("POST", f"/users/{user.id}/password-reset", None, admin),
    "invite": lambda _, admin: ("POST", "/invitations", {"role": "customer"}, admin),
    "rotate keys": lambda _, admin: ("POST", "/keys/rotate", None, admin),
    "change the password": lambda user, _: (
        "POST",
        "/me/password",
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        user.token,
    ),
    "end other sessions": lambda user, _: ("DELETE", "/me/sessions", None, user.token),
    "end a user's sessions": lambda user, admin: ("DELETE", f"/users/{user.id}/sessions", None, admin),
    "log out": lambda user, _: ("POST", "/logout", None, user.token),
    "delete a user": lambda user, admin: ("DELETE", f"/users/{user.id}", None, admin),
}


def writers(attacked: Attacked, count: int) -> list[Writer]:
    found = []
    for number in range(count):
        body = {"username": f"writer{number}", "name": "Writer", "role": "customer", "password": PASSWORD}
        status, user = attacked.server.call("POST", "/users", body, attacked.token)
        assert status == 201, user
        session = attacked.server.log_in(body["username"], PASSWORD)
        user_id = user["user"]["id"]
        found.append(Writer(number, user_id, body["username"], session["token"], session["refresh_token"]))
    return found


def request(kind: str, user: Writer, admin: str) -> bytes:
    method, path, body, token = KINDS[kind](user, admin)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
    if token is not None:
        head += f"Authorization: Bearer {token}\r\n"
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"{head}\r\n".encode() + content


def _close(client: socket.socket) -> None:
    client.close()


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _half_close(client: socket.socket) -> None:
    """It reads for a moment, as if it waited for the answer, and is gone then."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(LEAVING_SECONDS)
        client.recv(1)
    client.close()


LEAVING = (_close, _reset, _half_close)


def leave(port: int, requests: list[bytes], chance: random.Random) -> None:
    """All ask at once, and each leaves after a moment, in one way or the other. Every tenth asks for half."""
    clients: list[tuple[float, int, socket.socket]] = []
    with contextlib.ExitStack() as stack:
        for number, sent in enumerate(requests):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            client.sendall(sent[:-1] if number % 10 == 9 else sent)
            clients.append((time.monotonic() + chance.uniform(0, LEAVING_SECONDS), number, client))
        for moment, number, client in sorted(clients):
            time.sleep(max(0.0, moment - time.monotonic()))
            LEAVING[number % len(LEAVING)](client)
