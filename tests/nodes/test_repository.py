from __future__ import annotations

from dataclasses import replace

from server.database.live_nodes import GONE_MS
from server.nodes.model import Node
from server.repositories import Repositories

NODE = Node("a", "web-1", 7, "0.1.0", 10, "{}", -3, 0, 0)


async def test_a_node_is_there_until_it_leaves(store: Repositories) -> None:
    assert await store.nodes.live() == []
    (written,) = await store.nodes.write(NODE)
    before = await store.nodes.now()
    assert replace(written, started_at=0, seen_at=0) == NODE
    assert abs(written.seen_at - before) < GONE_MS
    assert written.started_at == written.seen_at
    other = replace(NODE, id="b", hostname="web-0")
    assert [node.id for node in await store.nodes.write(other)] == ["b", "a"]
    changed = replace(NODE, clock_ahead_ms=5, settings='{"x": 1}')
    again = next(node for node in await store.nodes.write(changed) if node.id == "a")
    assert (again.clock_ahead_ms, again.settings, again.started_at) == (5, '{"x": 1}', written.started_at)
    assert written.seen_at <= again.seen_at
    await store.nodes.remove("a")
    assert [node.id for node in await store.nodes.live()] == ["b"]


async def test_a_node_that_was_not_seen_for_a_while_is_gone(store: Repositories) -> None:
    await store.nodes.write(NODE)
    await store.driver.write_one("UPDATE nodes SET seen_at = seen_at - $1", GONE_MS + 1)
    assert await store.nodes.live() == []
    assert len(await store.driver.read("SELECT id FROM nodes")) == 1
    await store.nodes.write(replace(NODE, id="b"))
    assert [row["id"] for row in await store.driver.read("SELECT id FROM nodes")] == ["b"]
