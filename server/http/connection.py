"""The HTTP connection, with limits on what a client can cost the process outside of its requests.

aiohttp has no hooks for errors of its parser, so this module looks into aiohttp's queue of messages.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestPayloadError, _ErrInfo
from aiohttp.web_request import BaseRequest

from server.http.encoding import KEPT, encoded, is_plain
from server.http.gathering import GatheringTransport
from server.http.immediate import asks_only
from server.http.leftovers import forget, has_nothing_behind, is_readable, take_error, take_tail, unread_bytes
from server.http.resting import HEAD_END, RestingProtocol

if TYPE_CHECKING:
    from server.http.runner import EdgeServer

# aiohttp's parsers take others, too, and it would answer in the version of the request, whatever that is.
_VERSIONS = (HttpVersion10, HttpVersion11)
# A client that reads no part of an answer for this long is disconnected.
WRITE_SECONDS = 20.0
# A client that has closed its side has left, or it waits for an answer. We assume for this long that it waits.
HALF_CLOSED_SECONDS = 2.0
# How long the answers of cancelled requests may take when the server ends.
CANCELLING_SECONDS = 0.5
# The buffer holds at most twice as many unread bytes of a body, and a 16th as many chunks. This bounds one parser call.
READ_BUFFER_BYTES = 16_384
# The limit for an incomplete request line with headers. aiohttp's own limits allow 128 headers of 8 KB each.
HEAD_BYTES = 65_536
# The limit for chunk sizes, extensions and trailers of a body, in addition to as many bytes as the content has.
FRAMING_BYTES = 65_536


class EdgeProtocol(RestingProtocol):
    """A connection. Slots as in the base class."""

    __slots__ = (
        "_cut_off",
        "_half_closed",
        "_has_lost",
        "_reading_ended",
        "_server",
        "_unfinished_bytes",
    )

    def __init__(self, manager: EdgeServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._server = manager
        self._half_closed = False
        self._has_lost = False
        self._reading_ended = False
        self._holds_nothing = False
        self._unfinished_bytes = 0
        self._cut_off: asyncio.TimerHandle | None = None

    @property
    def request(self) -> BaseRequest | None:
        """The request that is being handled."""
        return self._current_request

    @property
    def waits_for_client(self) -> bool:
        """Whether the connection waits for a request, the rest of a body, or the client to read an answer."""
        request = self._current_request
        return self.writing_paused or (not self._messages if request is None else not request.content.is_eof())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make asyncio call `pause_writing` as soon as the system does not accept all of an answer."""
        gathering = GatheringTransport(cast("asyncio.Transport", transport), self._server.gatherer)
        gathering.set_write_buffer_limits(high=0)
        super().connection_made(gathering)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Clean up after the connection was closed by either side."""
        self._stop_clock()
        self._server.cleaning_up.add(partial(self._clean_up, exc))

    def _clean_up(self, exc: BaseException | None) -> None:
        self.leave(exc)
        self._server.on_connection_lost()

    def leave(self, exc: BaseException | None) -> None:
        """Drop everything, after the connection was lost or given back."""
        if self._task_handler is not None:
            self._task_handler.add_done_callback(take_error)
        super().connection_lost(exc)
        # A refusal that waits there refers to this connection.
        self._messages.clear()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio allows it
        """Answer complete requests of a client that has closed only its side (RFC 9293 section 3.6)."""
        request = self._current_request
        is_idle = not self._keepalive or (self._waiter is not None and not self._waiter.done())
        if self.transport is None:
            return False
        if is_idle or (request is not None and not request.content.is_eof()):
            # The event loop would close all of a crowd at once.
            self._server.cleaning_up.add(self.transport.close)
            return True
        self._half_closed = True
        # Closing the transport cancels handlers that still run.
        self._loop.call_later(HALF_CLOSED_SECONDS, self.transport.close)
        # It may be answered already, while the task of the connection has not come so far yet.
        self._loop.call_soon(self._close_if_answered)
        return True

    def _close_if_answered(self) -> None:
        if self.transport is not None and self._waiter is not None and not self._waiter.done():
            self.transport.close()

    def pause_writing(self) -> None:
        """Start the limit for a client that does not read. Without it the connection would stay open for ever."""
        super().pause_writing()
        if self.transport is not None:
            self._watch_writing(self.transport, None)

    def resume_writing(self) -> None:
        """Stop the limit: the client has read everything."""
        self._stop_clock()
        super().resume_writing()

    def _watch_writing(self, transport: asyncio.Transport, left_before: int | None) -> None:
        """Check again later; close the connection if nothing was read since the last check."""
        left = unread_bytes(transport)
        if left == left_before:
            transport.abort()
        else:
            self._cut_off = self._loop.call_later(WRITE_SECONDS, self._watch_writing, transport, left)

    def _stop_clock(self) -> None:
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - as in the base class
        """Wait at most `timeout` for requests in flight. aiohttp would wait twice as long if nobody reads an answer."""
        giving_up = None
        if timeout is not None and self.transport is not None:
            giving_up = self._loop.call_later(timeout + CANCELLING_SECONDS, self.transport.abort)
        try:
            await super().shutdown(timeout)
        finally:
            if giving_up is not None:
                giving_up.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse until the first error. aiohttp would queue another error for each later piece of data."""
        if self._reading_ended:
            self._ignore()
            return
        self._holds_nothing = False
        known = len(self._messages)
        if self._receive(data):
            return
        if self._messages:
            self._look_at_requests(data, known)
        elif self._current_request is not None:
            self._unfinished_bytes += len(data)
            if not self._current_request.content.is_eof():
                self._look_at(self._current_request.content)
        elif self._waiter is not None or not self._request_count:
            # These bytes belong to the head of the next request, or of the first one.
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > HEAD_BYTES:
                self._refuse(BadHttpMessage("the head is too long"))

    def _look_at_requests(self, data: bytes, known: int) -> None:
        """Behind those that are known, refuse the first one that is none, and forget those behind it."""
        is_whole = not self._unfinished_bytes
        # The part of the head that has just arrived counts; bytes that came earlier don't.
        self._unfinished_bytes = len(data) if len(self._messages) == 1 else 0
        self._server.spoke(self)
        for place in range(known, len(self._messages)):
            message, _ = self._messages[place]
            if isinstance(message, _ErrInfo) or message.version not in _VERSIONS or not is_readable(message.url):
                while len(self._messages) > place:
                    self._messages.pop()
                other = BadHttpMessage("another version of HTTP, or no host")
                self._refuse(message.exc if isinstance(message, _ErrInfo) else other)
                return
            if message.upgrade and not self._upgraded:
                self._has_lost |= not (is_whole and has_nothing_behind(data, message))
        body = self._messages[-1][1]
        if not body.is_eof():
            self._look_at(body)
        else:
            self._holds_nothing = body is EMPTY_PAYLOAD and data.endswith(HEAD_END)

    def _receive(self, data: bytes) -> bool:
        """Parse. Whether that was a whole request which is answered already."""
        waiter = self._waiter
        # With the first bytes of the connection, its task has not begun yet.
        is_ready = not self._request_count if waiter is None else not waiter.done()
        if not is_ready or self._keepalive_handle is None:
            # A request is being handled, or there is no clock for the next one, which the task starts.
            super().data_received(data)
            return False
        # Without it, aiohttp does not wake the task of the connection.
        self._waiter = None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if len(self._messages) == 1 and self._answer_at_once():
            self._holds_nothing = data.endswith(HEAD_END)
            return True
        if self._messages and waiter is not None:
            waiter.set_result(None)
        return False

    def _answer_at_once(self) -> bool:
        """Answer the request that waits alone in the queue, if that needs no task (server/http/immediate.py)."""
        message, body = self._messages[0]
        transport = self.transport
        if (
            transport is None
            or self.writing_paused
            or isinstance(message, _ErrInfo)
            or not asks_only(message, body)
            or not self._server.is_immediate(message.path)
        ):
            return False
        response = self._server.answer_at_once(message, body, self, self._task_handler)
        if response is None:
            return False
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        self._server.spoke(self)
        self._unfinished_bytes = 0
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        transport.write(encoded(response))
        return True

    def _look_at(self, body: StreamReader) -> None:
        error = body.exception()
        if error is not None:
            # The parser in Python reports some errors only here. It would read the following bytes as a request.
            self.end_reading()
            forget(error)
        elif self._unfinished_bytes > 2 * body.total_bytes + FRAMING_BYTES and not self._reading_paused:
            # All received bytes are parsed, so the difference is what was sent in addition to the content.
            self._refuse(BadHttpMessage("the chunks are too small, or their extensions too long"))

    def _refuse(self, error: BaseException) -> None:
        """Queue a 400 behind the earlier requests. A request whose body is not complete fails."""
        self.end_reading()
        forget(error)
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
                body.set_exception(RequestPayloadError())
        # This stream never ends, so aiohttp lingers before it closes the connection.
        rest = StreamReader(self, READ_BUFFER_BYTES, loop=self._loop)
        # A new error without a message: the message of `error` quotes what the client sent.
        kind = type(error)
        self._messages.append((_ErrInfo(400, kind.__new__(kind), ""), rest))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end_reading(self) -> None:
        """Ignore all data from now on."""
        self._reading_ended = True
        self._ignore()

    def _ignore(self) -> None:
        if self.transport is not None:
            self._server.ignored.wait(self.transport)

    def _leave_body(self, request: BaseRequest, response: web.StreamResponse) -> None:
        """Handle an answer before the end of the body. aiohttp waits for the rest, but a long one is not parsed."""
        is_broken = request.content.exception() is not None
        # After the body of an upgrade request, aiohttp would wait for another protocol.
        is_upgrade = hdrs.UPGRADE in request.headers
        length = request.content_length
        if is_broken or is_upgrade or length is None or length > READ_BUFFER_BYTES:
            self.end_reading()
            response.force_close()
        if is_broken:
            # The handler has seen the error. If it stayed, aiohttp would not read the rest, but reset the connection.
            request.content._exception = None  # noqa: SLF001 - there is no other way to remove it

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. After the last answer, send the end of the stream and ignore data that still arrives.

        Closing at once would reset the connection of a client that still sends, and it might not see the answer.
        """
        # The bytes of this request don't count for the head of the next one.
        self._unfinished_bytes = 0
        if self._server.draining:
            resp.force_close()
        if self._has_lost and request._message.upgrade:  # noqa: SLF001 - there is no other way to see it
            self.end_reading()
            resp.force_close()
        if not request.content.is_eof():
            self._leave_body(request, resp)
        elif tail := take_tail(self):
            self.data_received(tail)
            if self._buffer_paused:
                self._resume_reading_if_drained()
        transport = self.transport
        if transport is not None and self.goes_on(transport) and is_plain(request, resp):
            request._finish()  # noqa: SLF001 - as the base class does it
            transport.write(encoded(cast("web.Response", resp)))
            # The base class asks an answer whether the connection is kept, and keeps it until the next one.
            return KEPT, False
        finished = await super().finish_response(request, resp, start_time)
        if self.transport is not None:
            if self._half_closed and not self._messages:
                self.transport.close()
            elif self._reading_ended and not resp.keep_alive:
                self.transport.write_eof()
        return finished

    def goes_on(self, transport: asyncio.Transport) -> bool:
        """Whether the client can read an answer and send another request."""
        return not (
            transport.is_closing() or self.writing_paused or self._half_closed or self._reading_ended or self._upgraded
        )

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Make the answer to bytes that are not HTTP, and to a defect in the edge itself."""
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer was under way")
        response = self._server.edge.refuse(request.remote, status, exc)
        if exc is not None:
            forget(exc)
        response.force_close()
        return response
