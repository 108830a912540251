"""Tells the other nodes of this one, and the operator of what does not fit together."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import structlog

from server import __version__
from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.nodes.agreement import Finding, differing_clocks, differing_settings, shared_settings, tolerance_ms
from server.nodes.model import ClockAhead, Node, NodeName
from server.nodes.repository import NodeRepository
from server.settings import Settings

LEAVE_SECONDS = 1.0

_log = structlog.get_logger("watchword")


class Nodes:
    """This node among the others. A command uses it too, without being a node."""

    def __init__(
        self, repository: NodeRepository, settings: Settings, clock: Clock, name: NodeName, *, latest_migration: int
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._clock = clock
        self.name = name
        self._latest_migration = latest_migration
        self._told: dict[tuple[str, ...], str] = {}

    def with_settings(self, settings: Settings) -> Nodes:
        """The same node after its settings were read again."""
        other = Nodes(self._repository, settings, self._clock, self.name, latest_migration=self._latest_migration)
        other._told = self._told
        return other

    async def beat(self) -> None:
        """Write that this node runs, and log what begins or ceases to differ. While the store is away, do nothing."""
        with suppress(StoreUnavailable):
            ahead = await self.clock_ahead()
            shared = json.dumps(shared_settings(self._settings), sort_keys=True)
            node = Node(
                id=self.name.id,
                hostname=self.name.hostname,
                pid=self.name.pid,
                version=__version__,
                latest_migration=self._latest_migration,
                settings=shared,
                clock_ahead_ms=ahead.ms,
                started_at=0,
                seen_at=0,
            )
            self._tell(self._differing(ahead, await self._repository.write(node)))

    async def leave(self) -> None:
        """Say that this node has ended. If that fails, the others find out by themselves."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._repository.remove(self.name.id)

    async def findings(self) -> list[Finding]:
        """What does not fit together now, seen with the settings and the clock here. Raises StoreUnavailable."""
        return self._differing(await self.clock_ahead(), await self._repository.live())

    async def clock_ahead(self) -> ClockAhead:
        """The clock here against the database's. Raises StoreUnavailable."""
        asked_at = self._clock.now_ms()
        now = await self._repository.now()
        answered_at = self._clock.now_ms()
        # The database read its clock at some moment between the two.
        return ClockAhead((asked_at + answered_at) // 2 - now, abs(answered_at - asked_at) // 2)

    def _differing(self, ahead: ClockAhead, live: list[Node]) -> list[Finding]:
        others = [node for node in live if node.id != self.name.id]
        return [
            *differing_settings(shared_settings(self._settings), others),
            *differing_clocks(ahead, others, tolerance_ms(self._settings)),
        ]

    def _tell(self, findings: list[Finding]) -> None:
        found = dict(findings)
        for key, text in found.items():
            if key not in self._told:
                _log.warning("nodes do not agree", reason=text)
        for key, text in self._told.items():
            if key not in found:
                _log.info("nodes do not differ in this any more", reason=text)
        self._told = found
