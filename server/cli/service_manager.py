"""Tells systemd how the server is (sd_notify(3)): ready, reloading, stopping, alive.

It is written by hand because the protocol is a datagram with a few lines. Without NOTIFY_SOCKET nothing is told.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from server.core.errors import TryLater

# A manager that does not read must not hold up the server.
SEND_SECONDS = 0.1
# A start that goes on, for example with a long migration, asks for more time this often, and for so long.
EXTEND_EVERY_SECONDS = 5.0
_EXTEND_BY_SECONDS = 30
LONGEST_START_SECONDS = 3600.0
READY_POLL_SECONDS = 1.0


class ServiceManager:
    """One process of a server speaks for all of it: systemd believes the first one alone (NotifyAccess=main)."""

    def __init__(self, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        meant = environment.get("WATCHDOG_PID", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_watched = self._address and microseconds.isdecimal() and meant in {"", str(pid or os.getpid())}
        # How often `alive` has to be called: twice in the time after which the manager kills. 0: never.
        self.alive_every_seconds = int(microseconds) / 2_000_000 if is_watched else 0.0

    def ready(self, status: str) -> None:
        """The server could log somebody in. It also ends a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def not_ready(self, why: str) -> None:
        """The server runs, but nobody could log in yet."""
        self._tell(f"STATUS=not ready: {why}")

    def starting(self) -> None:
        """The start goes on, so the manager should wait longer."""
        self._tell(f"EXTEND_TIMEOUT_USEC={_EXTEND_BY_SECONDS * 1_000_000}")

    def reloading(self) -> None:
        """The settings are read again. `ready` has to follow. Type=notify-reload compares the time with its own."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The server ends."""
        self._tell("STOPPING=1", "STATUS=finishes requests")

    def alive(self) -> None:
        """The server answers."""
        self._tell("WATCHDOG=1")

    async def tell_starting(self) -> None:
        """Call `starting` again and again."""
        for _ in range(int(LONGEST_START_SECONDS / EXTEND_EVERY_SECONDS)):
            await asyncio.sleep(EXTEND_EVERY_SECONDS)
            self.starting()

    async def tell_ready(self, check: Callable[[], Awaitable[None]], status: str) -> None:
        """Call `ready` once `check` raises nothing."""
        await until_well(check, self.not_ready)
        self.ready(status)

    async def tell_alive(self) -> None:
        """Call `alive` as often as the manager wants it: it shows that the event loop of this task answers."""
        while self.alive_every_seconds:
            self.alive()
            await asyncio.sleep(self.alive_every_seconds)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # A socket that is missing, full or not ours must not break the server.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_SECONDS)
            sender.sendto("\n".join(" ".join(line.splitlines()) for line in lines).encode(), self._address)


async def until_well(check: Callable[[], Awaitable[None]], tell: Callable[[str], object]) -> None:
    """Wait until `check` raises nothing. `tell` is called with the reason of each failure."""
    while True:
        try:
            await check()
        except TryLater as error:
            tell(error.detail)
            await asyncio.sleep(READY_POLL_SECONDS)
        else:
            return


def _address(text: str) -> str:
    """The address as `sendto` takes it; empty if there is none. A vsock is for virtual machines, not for services."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    return text if text.startswith("/") else ""
