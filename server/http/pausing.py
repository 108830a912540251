"""A connection whose reading is resumed only if it was paused."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler


class PausingHandler(RequestHandler):
    """aiohttp's connection, without what it does for each body in case that reading was paused.

    At the end of a body, and when it is read, aiohttp lets its parser look for bytes that were left when reading was
    paused, and the event loop watch the socket again. Both cost as much as parsing the request, and reading is paused
    only by a body that is longer than its buffer. After that aiohttp's own way is kept, as long as the connection is.
    Slots as in the base class.
    """

    __slots__ = ("_has_paused",)

    def __init__(self, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._has_paused = False

    def pause_reading(self) -> None:
        """A body is longer than its buffer."""
        self._has_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """There is room in a buffer again, or a body has ended."""
        if self._has_paused:
            super().resume_reading(resume_parser)
