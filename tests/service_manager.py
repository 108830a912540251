"""A service manager: the socket on which systemd hears its services (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.calling import DEADLINE_SECONDS


class Heard:
    """What the service says, message by message."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    def next(self) -> list[str]:
        """The lines of the next message."""
        return self._listening.recv(65536).decode().split("\n")

    def until(self, line: str) -> list[list[str]]:
        """All messages up to the one with this line."""
        messages = [self.next()]
        while line not in messages[-1]:
            messages.append(self.next())
        return messages

    def rest(self) -> list[list[str]]:
        """What has been said and not heard."""
        self._listening.setblocking(False)
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.next())
        self._listening.settimeout(DEADLINE_SECONDS)
        return messages


@contextlib.contextmanager
def service_manager(address: Path | str) -> Iterator[Heard]:
    """One that listens at a path, or at an abstract address that begins with @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(address).replace("@", "\0", 1) if str(address).startswith("@") else str(address))
        listening.settimeout(DEADLINE_SECONDS)
        yield Heard(listening)
