"""Connections that wait for their next request give their protocol back, and get another one with its head.

A protocol of aiohttp is a parser, a task with the request that it has answered last, and a clock: 13 KB. A connection
that waits needs none of it (silent.py). So a crowd of clients that have each asked once costs a tenth, holds no memory
when it has left, and makes less work when it leaves.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from server.http.early import EarlyHandler
from server.http.turns import TURN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.http.gathering import GatheringTransport

# The end of a request without a body.
HEAD_END = b"\r\n\r\n"
# After so long without a request a connection rests. A new protocol costs as much as a request.
REST_SECONDS = 5.0
# While more than so many have a protocol, they rest as soon as this.
MANY = 500
CROWDED_SECONDS = 0.25
# How often those are looked for; and how many of them are looked at in a turn of the event loop, and for each new one.
LOOK_SECONDS = 1.0
LOOKED_AT_IN_A_TURN = 50
LOOKED_AT_FOR_ONE = 2


class RestingProtocol(EarlyHandler):
    """A protocol that can be given back between two requests. Slots as in the base class."""

    __slots__ = ("_holds_nothing",)

    # Whether the parser was given whole requests, and no byte behind them: the last one has no body, and the last bytes
    # end with an empty line. If there was more behind the last request, that line would have ended another one.
    _holds_nothing: bool

    def goes_on(self, transport: asyncio.Transport) -> bool:
        """Whether the client can read an answer and send another request."""
        raise NotImplementedError

    def leave(self, exc: BaseException | None) -> None:
        """Drop everything. The connection itself is closed unless `transport` is None."""
        raise NotImplementedError

    def idle_since(self) -> float | None:
        """When the latest answer was given, by the loop's clock; None unless this waits for a whole request."""
        transport, waiter = self.transport, self._waiter
        if (
            transport is None
            or waiter is None
            or waiter.done()
            or not self._holds_nothing
            or self._messages
            or self._keepalive_handle is None
            or not self._keepalive
            or not self.goes_on(transport)
            or transport.get_write_buffer_size()
        ):
            return None
        return self._next_keepalive_close_time - self._keepalive_timeout

    def has_waited_since(self, since: float) -> None:
        """Count the time for the head of the first request from then, by the loop's clock, and not from now."""
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._next_keepalive_close_time = since + self._keepalive_timeout
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def give_back(self) -> asyncio.Transport:
        """End, but for the connection. Call it only if `idle_since` says a time."""
        transport = cast("GatheringTransport", self.transport)
        self.transport = None
        self.leave(None)
        return transport.inner


class Resting:
    """Looks for connections that wait for their next request. `rest` is called with each, and since when it waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rest: Callable[[RestingProtocol, float], None]) -> None:
        self._loop = loop
        self._rest = rest
        # In the order in which they were looked at, the one before the longest time first.
        self.speaking: OrderedDict[RestingProtocol, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, protocol: RestingProtocol) -> None:
        """A connection has got a protocol."""
        self.speaking[protocol] = None
        if len(self.speaking) > MANY:
            self.look_at(LOOKED_AT_FOR_ONE)
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look, len(self.speaking))

    def remove(self, protocol: RestingProtocol) -> None:
        """It has none any more."""
        self.speaking.pop(protocol, None)

    def _look(self, left: int) -> None:
        """Look at `left` of them, in turns."""
        self._timer = None
        count = min(left, len(self.speaking), LOOKED_AT_IN_A_TURN)
        self.look_at(count)
        left = min(left - count, len(self.speaking))
        if left:
            self._timer = self._loop.call_later(TURN_SECONDS, self._look, left)
        elif self.speaking:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look, len(self.speaking))

    def look_at(self, count: int) -> None:
        """Look at so many. There have to be as many."""
        rested = CROWDED_SECONDS if len(self.speaking) > MANY else REST_SECONDS
        latest = self._loop.time() - rested
        for _ in range(count):
            protocol = next(iter(self.speaking))
            since = protocol.idle_since()
            if since is not None and since <= latest:
                del self.speaking[protocol]
                self._rest(protocol, since)
            else:
                self.speaking.move_to_end(protocol)
