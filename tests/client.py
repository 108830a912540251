"""A client that sends header fields as they are spelt, and reads them one by one."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Fields = Iterable[tuple[str, str]]
DEADLINE_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    def problem(self) -> dict[str, Any]:
        """The body, which has to be a problem (RFC 9457) of that status."""
        assert self.values("Content-Type") == ["application/problem+json"]
        body = self.json()
        assert body["status"] == self.status
        return body


class Client:
    """A connection that stays open."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def ask(
        self, method: str, path: str, headers: Fields = (), *, token: str | None = None, body: bytes | None = None
    ) -> Answer:
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        if token is not None:
            self._connection.putheader("Authorization", f"Bearer {token}")
        if body is not None:
            self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())

    def post(self, path: str, body: dict[str, Any], headers: Fields = ()) -> Answer:
        """A JSON body."""
        return self.ask("POST", path, [("Content-Type", "application/json"), *headers], body=json.dumps(body).encode())


@contextlib.contextmanager
def connected(port: int, source: str = "127.0.0.1") -> Iterator[Client]:
    """A client at the address `source`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS, source_address=(source, 0))
    with contextlib.closing(connection):
        yield Client(connection)
