"""A worker's side of its channel to the parent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from server.cli.child import Child
from server.cli.signals import ServerSignals

BEAT_SECONDS = 1.0
# If the parent is gone, the next server waits for the port and the store.
ORPHAN_SECONDS = 1.0


class Worker:
    """Tells the parent that this worker is alive and ready, and hears what the parent says."""

    def __init__(self, child: Child, signals: ServerSignals) -> None:
        self.child = child
        self._signals = signals
        self._handlers: dict[str, Callable[[Any], None]] = {}

    def on(self, kind: str, handle: Callable[[Any], None]) -> None:
        """Call `handle` with the body of each message of that kind, on the event loop."""
        self._handlers[kind] = handle

    @contextmanager
    def following(self) -> Iterator[None]:
        """Within this block the event loop talks with the parent. The worker ends if the parent is gone."""
        loop = asyncio.get_running_loop()
        channel = self.child.channel
        loop.add_reader(channel, self._read, loop)
        beating = loop.create_task(self._beat(), name="heartbeat")
        try:
            yield
        finally:
            beating.cancel()
            loop.remove_reader(channel)

    def tell_ready(self) -> None:
        """Tell the parent that this worker accepts requests."""
        self.child.channel.send("ready")

    def tell(self, kind: str, body: Any = None) -> None:
        """Send a message to the parent."""
        self.child.channel.send(kind, body)

    def tell_unavailable(self) -> None:
        """Tell the parent that this worker ends because the store did not answer when it was opened."""
        self.child.channel.send("unavailable")

    async def _beat(self) -> None:
        channel = self.child.channel
        while True:
            channel.flush()
            # A parent that is stopped reads nothing. What it gets then need not be more each second.
            if not channel.is_behind():
                channel.send("alive")
            await asyncio.sleep(BEAT_SECONDS)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        channel = self.child.channel
        for message in channel.receive():
            handle = self._handlers.get(message.kind)
            if handle is not None:
                handle(message.body)
        if channel.has_ended:
            # The end stays readable, so the loop would call this again and again while requests finish.
            loop.remove_reader(channel)
            self._signals.seconds = ORPHAN_SECONDS
            self._signals.ask(1)
