"""Small HTTP servers of the tests, and ports for others."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import HTTPServer


def free_port() -> int:
    """A port of this machine on which nobody listens, for servers that can't choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextlib.contextmanager
def listening(listener: HTTPServer) -> Iterator[None]:
    """Answers in a thread while the block runs, and closes."""
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    with listener:
        thread.start()
        try:
            yield
        finally:
            listener.shutdown()
            thread.join()
