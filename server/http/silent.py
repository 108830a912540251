"""Connections on which nothing was sent yet. They are many when somebody opens them to no purpose, so they cost little.

Such a connection has no parser, no task and no clock of its own. It gets them with the first byte.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from server.http.turns import OPENED_IN_A_TURN, Shared

if TYPE_CHECKING:
    from server.http.runner import EdgeServer

# So many that have waited too long are closed at once; others in the next turns of the event loop.
_CLOSED_AT_ONCE = 50
_NEXT_SECONDS = 0.001


class SilentConnection(asyncio.Protocol):
    """A connection until its first byte."""

    __slots__ = ("_silence", "since", "transport")

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self.since = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first byte."""
        self.transport = cast("asyncio.Transport", transport)
        self._silence.add(self)

    def data_received(self, data: bytes) -> None:
        """Leave the connection to a protocol of its own. If many speak at once, some of them wait for a moment."""
        if self.transport is not None and not self._silence.opening.add(partial(self._open, data)):
            self.transport.pause_reading()

    def _open(self, data: bytes) -> None:
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if not transport.is_reading():
                transport.resume_reading()
            self._silence.remove(self)
            self.transport = None
            protocol = self._silence.server.new_protocol()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(data)

    def eof_received(self) -> bool:
        """Close the connection, which the event loop would do for a whole crowd at once."""
        if self.transport is not None:
            self._silence.server.cleaning_up.add(self.transport.close)
        return True

    def connection_lost(self, _: BaseException | None) -> None:
        """The client has left without a word, or was closed."""
        if self.transport is not None:
            self._silence.remove(self)
            self.transport = None
            self._silence.server.on_connection_lost()


class Silence:
    """All of them. After `seconds` without a byte they are closed."""

    def __init__(self, server: EdgeServer, seconds: float) -> None:
        self.server = server
        self._loop = asyncio.get_running_loop()
        self.opening = Shared(self._loop, OPENED_IN_A_TURN)
        self._seconds = seconds
        # In the order in which they were made.
        self._waiting: dict[SilentConnection, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: SilentConnection) -> None:
        """A connection was made."""
        connection.since = self._loop.time()
        self._waiting[connection] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._close_old)
        self.server.arrived(connection)

    def remove(self, connection: SilentConnection) -> None:
        """It is silent no more."""
        self._waiting.pop(connection, None)
        self.server.went(connection)

    def close(self) -> None:
        """Close all of them."""
        for connection in list(self._waiting):
            if connection.transport is not None:
                connection.transport.close()

    def _close_old(self) -> None:
        self._timer = None
        now = self._loop.time()
        for _ in range(_CLOSED_AT_ONCE):
            oldest = next(iter(self._waiting), None)
            if oldest is None or oldest.since + self._seconds > now:
                break
            # When it is lost, the others hear of it.
            del self._waiting[oldest]
            if oldest.transport is not None:
                oldest.transport.close()
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            left = max(_NEXT_SECONDS, oldest.since + self._seconds - now)
            self._timer = self._loop.call_later(left, self._close_old)
