"""Connections that wait for a request. They are many when somebody opens them to no purpose, so they cost little.

Such a connection has no parser, no task and no clock of its own. It gets them with a whole head, or with whatever is
not the beginning of one. Those that have been answered come back here (resting.py).
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, cast

from server.http.resting import HEAD_END, MANY
from server.http.turns import OPENED_IN_A_TURN, Shared
from server.http.watch import Watch

if TYPE_CHECKING:
    from server.http.runner import EdgeServer

# So many that have waited too long are closed at once; others in the next turns of the event loop.
_CLOSED_AT_ONCE = 50
_NEXT_SECONDS = 0.001
# The beginning of a head is kept up to this length, if there is nothing in it that a parser could refuse already.
KEPT_BYTES = 1024
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_LINE = f"(?:{'|'.join(_METHODS)}) /[!-~]*"
_VERSION = " HTTP/1.1\r"
_NAME = "[A-Za-z][A-Za-z0-9-]*"
_VALUE = "[ -~]*"


def _parts(*words: str) -> str:
    """Each beginning of each of these words, as a pattern."""
    return "|".join(re.escape(word[:end]) for word in words for end in range(1, len(word) + 1))


# RFC 9112 sections 3 and 5, and less than they allow.
_BEGINNING = re.compile(
    f"(?:{_parts(*_METHODS)})"
    f"|(?:{'|'.join(_METHODS)}) "
    f"|{_LINE}(?:{_parts(_VERSION)})?"
    f"|{_LINE}{re.escape(_VERSION)}\n(?:{_NAME}:{_VALUE}\r\n)*(?:\r|{_NAME}(?::{_VALUE}\r?)?)?".encode()
)


def is_beginning(data: bytes) -> bool:
    """Whether this is the beginning of an ordinary head, and not all of it."""
    return len(data) <= KEPT_BYTES and HEAD_END not in data and _BEGINNING.fullmatch(data) is not None


class SilentConnection(asyncio.Protocol):
    """A connection until it has something to say."""

    __slots__ = ("_begun", "_silence", "since", "transport", "waits_for_client")

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self._begun = b""
        self.since = 0.0
        # Else it has said something, and waits for its turn.
        self.waits_for_client = True
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head."""
        self.transport = cast("asyncio.Transport", transport)
        self._silence.add(self)

    def data_received(self, data: bytes) -> None:
        """Leave the connection to a protocol of its own. If many speak at once, some of them wait for a moment."""
        data = self._begun + data
        if is_beginning(data):
            self._begun = data
        elif self.transport is not None and not self._silence.opening.add(partial(self._open, data)):
            self.waits_for_client = False
            self._silence.settle(self)
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
            if HEAD_END not in data:
                protocol.has_waited_since(self.since)
            protocol.data_received(data)

    def eof_received(self) -> bool:
        """Close the connection, which the event loop would do for a whole crowd at once."""
        if self.transport is not None:
            self._silence.settle(self)
            self._silence.server.cleaning_up.add(self.transport.close)
        return True

    def connection_lost(self, _: BaseException | None) -> None:
        """The client has left without a word, or was closed."""
        if self.transport is not None:
            self._silence.remove(self, is_lost=True)
            self.transport = None
            self._silence.server.on_connection_lost()


class Silence:
    """All of them. After `seconds` without a byte they are closed."""

    def __init__(self, server: EdgeServer, seconds: float) -> None:
        self.server = server
        self._loop = asyncio.get_running_loop()
        self.opening = Shared(self._loop, OPENED_IN_A_TURN)
        self._watch = Watch(self._loop)
        # Those that are not watched, since they have come lately and are about to say something.
        self._fresh: OrderedDict[SilentConnection, None] = OrderedDict()
        self._seconds = seconds
        # In the order in which they came here. Those that were answered before may be closed some seconds late by that.
        self._waiting: dict[SilentConnection, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take_over(self, transport: asyncio.Transport, since: float) -> None:
        """A connection waits for its next request since then."""
        connection = SilentConnection(self)
        connection.transport = transport
        transport.set_protocol(connection)
        self._add(connection, since)
        self._watch.add(transport)

    def add(self, connection: SilentConnection) -> None:
        """A connection was made."""
        self._add(connection, self._loop.time())
        self._fresh[connection] = None
        if len(self._fresh) > MANY:
            old, _ = self._fresh.popitem(last=False)
            if old.transport is not None:
                self._watch.add(old.transport)

    def _add(self, connection: SilentConnection, since: float) -> None:
        connection.since = since
        self._waiting[connection] = None
        if self._timer is None:
            self._timer = self._loop.call_at(since + self._seconds, self._close_old)
        self.server.arrived(connection)

    def settle(self, connection: SilentConnection) -> None:
        """It is not to be watched: it has said something, or left."""
        self._fresh.pop(connection, None)

    def remove(self, connection: SilentConnection, *, is_lost: bool = False) -> None:
        """It is silent no more, or lost."""
        self._waiting.pop(connection, None)
        self.settle(connection)
        if is_lost and connection.transport is not None:
            self._watch.remove(connection.transport)
        self.server.went(connection)

    @property
    def is_busy(self) -> bool:
        """Whether something that clients have sent already waits for its turn."""
        return self.opening.is_busy or self._watch.is_busy

    def close(self) -> None:
        """Close all of them."""
        for connection in list(self._waiting):
            if connection.transport is not None:
                connection.transport.close()

    def end(self) -> None:
        """Nothing is to be noticed any more."""
        self._watch.close()

    def _close_old(self) -> None:
        self._timer = None
        now = self._loop.time()
        for _ in range(_CLOSED_AT_ONCE):
            oldest = next(iter(self._waiting), None)
            if oldest is None or oldest.since + self._seconds > now:
                break
            # When it is lost, the others hear of it.
            del self._waiting[oldest]
            if oldest.transport is not None and oldest.waits_for_client:
                oldest.transport.close()
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            left = max(_NEXT_SECONDS, oldest.since + self._seconds - now)
            self._timer = self._loop.call_later(left, self._close_old)
