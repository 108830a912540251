"""A client of a running server that waits for its answers, for tests that are not coroutines."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

DEADLINE_SECONDS = 60
# Before it is asked again. Without a pause who asks, and who answers, would take a core from what is waited for.
PAUSE_SECONDS = 0.01


class Caller:
    """Calls the server at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(self.address + path, method=method)  # noqa: S310 - our own http:// address
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:  # noqa: S310
                text = response.read()
                return response.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def log_in(self, username: str, password: str) -> dict[str, Any]:
        status, body = self.call("POST", "/login", {"username": username, "password": password})
        assert status == 200, body
        return body


def wait_until(happened: Callable[[], bool]) -> None:
    """Until it is so, which another process decides. Fails after DEADLINE_SECONDS."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_until_revoked(server: Caller, token: str) -> None:
    """Until the server knows of it: it reads what others have revoked a few times a second.

    A user who is deleted is not found until then.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := server.call("GET", "/me", token=token))[0] in {200, 404}:
        assert time.monotonic() < deadline
        time.sleep(PAUSE_SECONDS)
    assert (answer[0], answer[1]["code"]) == (401, "token_revoked")
