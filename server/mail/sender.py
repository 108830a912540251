"""The background task that sends what waits in the outbox. Each process that serves has one; claims keep them apart.

It asks every few seconds whether a mail is due, and at once when this process has written one. Then it starts a lane
(lane.py), and that one starts others if there are many mails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.core.ids import Ids
from server.mail.claims import ClaimRepository
from server.mail.lane import Lane, Shared
from server.mail.mailing import Mailing
from server.mail.outage import Outage
from server.mail.outbox_model import MailResult
from server.nodes.model import NodeName

# Conversations with the mail server at a time.
MOST_LANES = 3
# How often somebody else's mails are looked for.
LOOK_SECONDS = 2.0
PACE_SECONDS = 0.05
# From the moment when the server begins to end, what is being sent has so long to be taken.
END_SECONDS = 5.0

_log = structlog.get_logger("watchword.mail")


class Sender:
    """Sends mails until it is cancelled."""

    def __init__(
        self,
        *,
        claims: ClaimRepository,
        mailing: Callable[[], Mailing | None],
        written: asyncio.Event,
        clock: Clock,
        ids: Ids,
        node: NodeName,
        alone: bool,
        count: Callable[[MailResult], None] = lambda _: None,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        """`mailing` returns None while mail is off. `alone` says that no other node can be running on this store."""
        self._node = f"{node.id}/"
        self._alone = alone
        self._mailing = mailing
        self._last_mailing: Mailing | None = None
        self._written = written
        self._lanes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._ends_at: float | None = None
        self._left_claims = True
        self._store_told = False
        owner = f"{node.id}/{node.worker}/"
        self._shared = Shared(claims, clock, ids, owner, Outage(clock), count, pace_seconds)

    async def run(self) -> None:
        """Send mails. When it is cancelled, what is being sent is finished, within END_SECONDS."""
        try:
            while True:
                await self.look()
                await self._wait()
        finally:
            self.begin_end()
            await self._end_lanes()

    def begin_end(self) -> None:
        """Claim nothing more, and leave what is not being sent just now."""
        self._shared.ends = True
        if self._ends_at is None:
            self._ends_at = self._loop.time() + END_SECONDS

    async def look(self) -> None:
        """Start to send, if something is due. Raises nothing."""
        try:
            mailing = self._mailing()
            if mailing is not self._last_mailing:
                # Other settings, perhaps another server.
                self._last_mailing = mailing
                self._shared.outage.forget()
            if mailing is None or self._shared.ends:
                return
            if self._left_claims:
                await self._take_over()
            if self._shared.outage.pauses() or len(self._lanes) >= MOST_LANES:
                return
            if await self._shared.claims.due(self._shared.clock.now_ms()):
                self._start_lane()
            self._store_told = False
        except StoreUnavailable:
            self._tell_store()
        except Exception:  # noqa: BLE001 - a defect in one round must not end the later rounds
            _log.exception("background task failed", task="mails")

    async def idle(self) -> None:
        """Return when nothing is being sent."""
        while self._lanes:
            await asyncio.wait(self._lanes)

    async def _take_over(self) -> None:
        """Nobody waits for claims whose process is gone: a former one of this number, and with SQLite other servers."""
        claims, owner, now = self._shared.claims, self._shared.owner, self._shared.clock.now_ms()
        left = await claims.release_left(owner, now)
        if self._alone:
            left += await claims.release_all_but(self._node, now)
        self._left_claims = False
        if left:
            _log.info("mails are sent again that a process had begun with when it ended", count=left)

    async def _wait(self) -> None:
        spread = 0.75 + int.from_bytes(self._shared.ids.random_bytes(1), "big") / 0xFF / 2
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS * spread):
                await self._written.wait()
        self._written.clear()

    def _start_lane(self) -> None:
        if len(self._lanes) < MOST_LANES and not self._shared.ends and not self._shared.outage.is_on:
            self._lane()
        elif not self._lanes and not self._shared.ends:
            # One asks whether the server can be reached again.
            self._lane()

    def _lane(self) -> None:
        lane = asyncio.create_task(self._run_lane(), name="mails")
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _run_lane(self) -> None:
        try:
            await Lane(self._shared, self._mailing, self._start_lane).run()
        except StoreUnavailable:
            self._tell_store()
        except Exception:  # noqa: BLE001 - a defect with one mail must not end the task
            _log.exception("background task failed", task="mails")

    def _tell_store(self) -> None:
        if not self._store_told:
            self._store_told = True
            _log.warning("the store could not be reached, so no mail is sent; trying again")

    async def _end_lanes(self) -> None:
        lanes = set(self._lanes)
        if lanes and self._ends_at is not None:
            await asyncio.wait(lanes, timeout=max(0.0, self._ends_at - self._loop.time()))
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
