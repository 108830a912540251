"""Small answers of one turn of the event loop are sent together at its end.

A write to a socket wakes the client, which often takes the processor from the server at once. Sent one by one, between
other requests, the answers to checked requests took a quarter of their whole time for that.
"""

from __future__ import annotations

import asyncio
from typing import Any

# Larger pieces are written at once, so the event loop says immediately if the client does not read them.
SMALL_BYTES = 4096


class Gatherer:
    """The transports of a server that have something to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[GatheringTransport] = []

    def add(self, transport: GatheringTransport) -> None:
        """Send what waits in this transport after what is ready to run now."""
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(transport)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.send()


class GatheringTransport(asyncio.Transport):
    """The transport of a connection, whose small writes wait for the end of the turn."""

    __slots__ = ("_gatherer", "_unsent", "inner")

    def __init__(self, inner: asyncio.Transport, gatherer: Gatherer) -> None:
        super().__init__()
        self.inner = inner
        self._gatherer = gatherer
        self._unsent = b""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send a small piece soon, others at once."""
        if self._unsent:
            self._unsent += data
            if len(self._unsent) > SMALL_BYTES:
                self.send()
        elif len(data) > SMALL_BYTES:
            self.inner.write(data)
        elif data:
            self._unsent = bytes(data)
            self._gatherer.add(self)

    def writelines(self, list_of_data: Any) -> None:
        """Send these pieces as one."""
        self.write(b"".join(list_of_data))

    def send(self) -> None:
        """Send what waits now."""
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            self.inner.write(unsent)

    def write_eof(self) -> None:
        """End the sending side, after what waits."""
        self.send()
        self.inner.write_eof()

    def can_write_eof(self) -> bool:
        """Whether `write_eof` is possible."""
        return self.inner.can_write_eof()

    def close(self) -> None:
        """Close the connection, after what waits."""
        self.send()
        self.inner.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._unsent = b""
        self.inner.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.inner.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not accepted yet."""
        return len(self._unsent) + self.inner.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When the event loop calls `pause_writing`."""
        self.inner.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high limit."""
        return self.inner.get_write_buffer_limits()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport knows it, such as the socket."""
        return self.inner.get_extra_info(name, default)

    def is_reading(self) -> bool:
        """Whether data is received."""
        return self.inner.is_reading()

    def pause_reading(self) -> None:
        """Receive no data."""
        self.inner.pause_reading()

    def resume_reading(self) -> None:
        """Receive data again."""
        self.inner.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told of what arrives."""
        self.inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told of what arrives."""
        return self.inner.get_protocol()
