"""Gives memory back to the system after a crowd of clients has left."""

from __future__ import annotations

import asyncio
import ctypes

# So many connections are a crowd. They may have held a long answer each.
CROWD = 100
# A moment after the crowd has left, since the last objects are dropped then.
LATER_SECONDS = 1.0

# The C library keeps what is freed between pieces that are in use; only this makes it give whole pages back. Looked up
# here, because there may be no descriptor left later. musl and macOS don't have it.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


class CrowdMemory:
    """Notices that a crowd has left, by the number of connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._most = 0
        self._is_due = False

    def connections(self, count: int) -> None:
        """So many connections there are now."""
        if count > self._most:
            self._most = count
        elif self._most >= CROWD and count < self._most // 2:
            self._most = 0
            if not self._is_due:
                self._is_due = True
                self._loop.call_later(LATER_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._is_due = False
        give_back()


def give_back() -> None:
    """Give unused memory back. It takes one or two milliseconds."""
    if _trim is not None:
        _trim(0)
