"""Small HTTP servers of the tests, and ports for others."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from http.server import HTTPServer

# The kernel gives these ports to no connection. Another port may be given away while the server on it is restarted,
# even to a client that tries to reach this very server: it is connected to itself (RFC 9293, simultaneous open).
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of this machine on which nobody listens, for servers that can't choose one themselves."""
    while True:
        port = random.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
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
