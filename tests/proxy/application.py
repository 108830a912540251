"""A small application: it notes what reaches it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.listening import listening

ANSWER = b"from the application"


@dataclass(frozen=True)
class Call:
    """A request as it came. `path` is as spelt on the wire, `connection` the port at the other end."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def values(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]


@dataclass
class Application:
    """Listens on a free port. `status` is what it answers with."""

    port: int
    status: int = 200
    calls: list[Call] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of it, unless the proxy has only left."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def application() -> Iterator[Application]:
    """An application that listens while the block runs."""
    listener = _Listener(("127.0.0.1", 0), BaseHTTPRequestHandler)
    running = Application(listener.server_port)
    listener.RequestHandlerClass = _handler_of(running)
    with listening(listener):
        yield running


def _handler_of(running: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # Not self.path: two slashes at its begin have become one there.
            path = self.requestline.split(" ")[1]
            running.calls.append(Call(self.command, path, self.headers.items(), body, self.client_address[1]))
            content = b"" if running.status in {204, 304} else ANSWER
            self.send_response(running.status)
            if content:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
