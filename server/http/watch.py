"""Watches connections that wait, so that a crowd of them that wakes or leaves at the same moment is seen step by step.

The event loop asks the system for all that has happened, and handles it before anything else: ten thousand clients that
leave at once held everybody up for a tenth of a second. Here an epoll of its own is asked, for a few at a time.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress

# So many are woken in a turn of the event loop.
WOKEN_IN_A_TURN = 50


class Watch:
    """Connections that receive nothing until something arrives. Without epoll (macOS) the event loop watches them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, asyncio.Transport] = {}
        # Now, since there may be no descriptor left later.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            loop.add_reader(self._epoll.fileno(), self._wake)

    @property
    def is_busy(self) -> bool:
        """Whether something has arrived that was not noticed yet."""
        return self._epoll is not None and not self._epoll.closed and bool(self._epoll.poll(0, 1))

    def add(self, transport: asyncio.Transport) -> None:
        """Watch this one until something arrives, or its client leaves."""
        if self._epoll is None or self._epoll.closed or transport.is_closing():
            return
        descriptor = transport.get_extra_info("socket").fileno()
        # The system may have no memory for it. Then the event loop goes on watching.
        with suppress(OSError):
            self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLRDHUP)
            self._watched[descriptor] = transport
            transport.pause_reading()

    def remove(self, transport: asyncio.Transport) -> None:
        """It is about to be closed, or is watched by the event loop."""
        descriptor = transport.get_extra_info("socket").fileno()
        if self._watched.get(descriptor) is transport:
            self._forget(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._epoll is not None and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._watched.clear()

    def _forget(self, descriptor: int) -> asyncio.Transport:
        if self._epoll is not None:
            with suppress(OSError):
                self._epoll.unregister(descriptor)
        return self._watched.pop(descriptor)

    def woken(self) -> list[int]:
        """Some descriptors for which something has arrived."""
        return [] if self._epoll is None else [found for found, _ in self._epoll.poll(0, WOKEN_IN_A_TURN)]

    def _wake(self) -> None:
        for descriptor in self.woken():
            transport = self._forget(descriptor)
            if not transport.is_closing():
                transport.resume_reading()
