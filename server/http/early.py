"""A connection that knows its request from the moment at which the task for it is made."""

from __future__ import annotations

from typing import Any

from aiohttp.web_request import BaseRequest

from server.http.pausing import PausingHandler


class EarlyHandler(PausingHandler):
    """In aiohttp a request is known nowhere between leaving the queue and the first step of its task.

    Its parser in C tells only once that a body is broken. If it does so then, the request would wait for the rest of
    the body in vain.
    """

    __slots__ = ()

    def _handle_request(self, request: BaseRequest, start_time: Any, request_handler: Any) -> Any:
        self._current_request = request
        return super()._handle_request(request, start_time, request_handler)

    async def start(self) -> None:
        """Handle the requests of this connection, one after the other."""
        try:
            await super().start()
        finally:
            # A task that was cancelled before its first step has not done this. The connection and its request would
            # refer to each other, and stay in memory for hours.
            self._current_request = None
