"""How the databases find the sessions of a user who has very many: by an index in the order of the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from server.database.driver import Row
from server.repositories import Repositories
from tests.records import NOW, add_user, id_of, new_user

COUNT, OTHERS = 2000, 20_000


async def with_many(store: Repositories) -> None:
    """A user with so many sessions, older than those of another one."""
    sql = (
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        "INSERT INTO sessions (id, user_id, step, created_at, stepped_at, idle_expires_at, expires_at) "
        "SELECT '{prefix}' || CAST(1000000 + n AS TEXT), $1, 0, {now}, {now}, {now} + 1000, {now} + 9000 FROM numbers"
    )
    for number, prefix, count in ((1, "a", COUNT), (2, "b", OTHERS)):
        await add_user(store, new_user(number))
        await store.driver.write_one(sql.format(count=count, prefix=prefix, now=NOW), id_of(number))
    if store.driver.dialect == "postgres":
        await store.driver.read("ANALYZE sessions")


async def plan_of(store: Repositories, monkeypatch: pytest.MonkeyPatch, limit: int) -> str:
    read = store.driver.read
    found: list[str] = []

    async def explain(sql: str, *parameters: Any) -> Sequence[Row]:
        how = "EXPLAIN QUERY PLAN " if store.driver.dialect == "sqlite" else "EXPLAIN "
        found.extend(
            str(row[3 if store.driver.dialect == "sqlite" else 0]) for row in await read(how + sql, *parameters)
        )
        return await read(sql, *parameters)

    with monkeypatch.context() as patched:
        patched.setattr(store.driver, "read", explain)
        assert len(await store.sessions.list_sessions(id_of(1), NOW, limit)) == limit
    return "\n".join(found)


async def test_the_newest_sessions_of_a_user_are_read_and_no_more(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_many(store)
    plan = await plan_of(store, monkeypatch, 51)
    assert "sessions_of_user" in plan
    assert "sort" not in plan.lower()
    assert "TEMP B-TREE" not in plan
    found = [session.id for session in await store.sessions.list_sessions(id_of(1), NOW)]
    assert found == [f"a{1000000 + number}" for number in range(COUNT, COUNT - 1000, -1)]
    assert await store.sessions.count_sessions(id_of(1), NOW) == COUNT
