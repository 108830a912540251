"""The example's files, served as any static host would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.environment import ROOT
from tests.listening import listening

EXAMPLE = ROOT / "examples" / "browser"
TYPES = {"index.html": "text/html", "app.js": "text/javascript", "style.css": "text/css"}
API_OF_THE_EXAMPLE = 'content=":8080"'


class Site:
    """A static server on a free port. What it serves as index.html names the API's real port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.api_port = 0

    def origin(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}"

    def content(self, name: str) -> bytes:
        text = (EXAMPLE / name).read_text("utf-8")
        if name == "index.html":
            assert text.count(API_OF_THE_EXAMPLE) == 1
            text = text.replace(API_OF_THE_EXAMPLE, f'content=":{self.api_port}"')
        return text.encode()


@contextlib.contextmanager
def static_site() -> Iterator[Site]:
    """A site that listens while the block runs."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    site = Site(listener.server_port)
    listener.RequestHandlerClass = _handler_of(site)
    with listening(listener):
        yield site


def _handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/") or "index.html"
            if name not in TYPES:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            content = site.content(name)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", TYPES[name])
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler
