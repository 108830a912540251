"""Calls of a server under load, by the names of the routes."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import defaultdict
from contextvars import ContextVar
from typing import Any

import aiohttp

from tests.mail.mail_server import MailServer
from tests.mail.received import Received, code_of

_SECONDS = 30
# What any request may get while the settings are reloaded or a command holds the store.
_LATER = {429, 503}


class Unexpected(AssertionError):
    """An answer that should have been another one."""


class TooLate(Exception):
    """A token has expired while it was in use, or its key was revoked. The life begins again."""


# Whether this life was answered with 503. What was asked for may be done all the same, and what comes next be refused.
PUT_OFF: ContextVar[bool] = ContextVar("put_off", default=False)


class Inbox(MailServer):
    """A mail server that keeps each mail until somebody reads it, and refuses those to nobody@…"""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", "plain", None)
        self.replies["RCPT"] = lambda address: "550 5.1.1 no such user" if address.startswith("nobody") else None
        self._lock = threading.Lock()
        self._kept: dict[str, list[Received]] = defaultdict(list)

    def add(self, message: Received) -> None:
        with self._lock:
            self._kept[message.recipient].append(message)

    async def code(self, recipient: str, subject: str) -> str:
        """The code of the next mail to that address whose subject has this in it."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                for message in self._kept.pop(recipient, []):
                    if subject in message.subject:
                        return code_of(message)
            await asyncio.sleep(0.02)
        raise Unexpected(f"no mail to {recipient} about {subject!r}")

    def forget(self) -> None:
        """What nobody reads, such as notices."""
        with self._lock:
            self._kept.clear()


class Calls:
    """Sends requests and looks at their statuses."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session
        self._chance = random.Random(16)
        self.answers = 0
        self.later = 0

    def client(self) -> str:
        """An address of the network, for the header that the server believes."""
        return ".".join(["10", *(str(self._chance.randrange(256)) for _ in range(3))])

    async def __call__(
        self,
        route: str,
        expected: int | tuple[int, ...] = 200,
        *,
        token: str | None = None,
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
        cookies: dict[str, str] | None = None,
        **ids: str,
    ) -> Any:
        """The body of the answer. `ids` fill in the path of the route, `cookies` are sent and kept up to date."""
        method, template = route.split(" ")
        sent = {"X-Forwarded-For": self.client(), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        for _ in range(20):
            async with self._session.request(
                method,
                self.address + template.format(**ids),
                params=query,
                json=body,
                data=data,
                headers=sent,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                self.answers += 1
                allowed = expected if isinstance(expected, tuple) else (expected,)
                if answer.status in allowed:
                    if cookies is not None:
                        cookies |= {name: cookie.value for name, cookie in answer.cookies.items()}
                    is_json = "json" in answer.headers.get("Content-Type", "") and content
                    return await answer.json(content_type=None) if is_json else content
                # The key that was to be next, and was revoked, may have begun to sign.
                if b'"token_expired"' in content or b'"token_invalid"' in content:
                    raise TooLate
                if answer.status not in _LATER:
                    raise Unexpected(f"{route}: {answer.status} {content[:300]!r}")
            self.later += 1
            PUT_OFF.set(True)
            await asyncio.sleep(0.2)
        raise Unexpected(f"{route}: refused again and again")
