"""Small HTTP servers of the tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import HTTPServer


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
