"""The SQL of the table `nodes`."""

from __future__ import annotations

from dataclasses import fields

from server.database.driver import Driver, Transaction
from server.database.live_nodes import GONE_MS
from server.database.now import NOW_MS
from server.nodes.model import Node

_NODE = ", ".join(field.name for field in fields(Node))


class NodeRepository:
    """Writes the row of this server, and reads those of all that run."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        now = NOW_MS[driver.dialect]
        self._now = f"SELECT {now} AS now"
        self._write = (
            f"INSERT INTO nodes ({_NODE}) VALUES ($1, $2, $3, $4, $5, $6, $7, {now}, {now}) "
            "ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, clock_ahead_ms = excluded.clock_ahead_ms, "
            "seen_at = excluded.seen_at"
        )
        self._forget = f"DELETE FROM nodes WHERE seen_at < {now} - {GONE_MS}"
        self._live = f"SELECT {_NODE} FROM nodes WHERE seen_at >= {now} - {GONE_MS} ORDER BY hostname, id"

    async def now(self) -> int:
        """The time of the database (epoch ms)."""
        return int((await self._driver.read(self._now))[0]["now"])

    async def write(self, node: Node) -> list[Node]:
        """Write a row, whose times are those of the database, and delete those of servers that are gone.

        Returns all that run.
        """

        async def unit(transaction: Transaction) -> list[Node]:
            await transaction.run(
                self._write,
                node.id,
                node.hostname,
                node.pid,
                node.version,
                node.latest_migration,
                node.settings,
                node.clock_ahead_ms,
            )
            await transaction.run(self._forget)
            return [Node(**row) for row in await transaction.run(self._live)]

        return await self._driver.write(unit)

    async def live(self) -> list[Node]:
        """The servers that run, by hostname."""
        return [Node(**row) for row in await self._driver.read(self._live)]

    async def remove(self, node_id: str) -> None:
        """Delete the row of a server that ends."""
        await self._driver.write_one("DELETE FROM nodes WHERE id = $1", node_id)
