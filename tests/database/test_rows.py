"""What a row offers, whatever the database: repositories make records of it by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from server.core.turns import MANY_ROWS, Turns
from server.database.driver import Row, Transaction
from server.repositories import Repositories


@dataclass(frozen=True)
class _Record:
    key: str
    failures: int


_ROW = "SELECT 'a' AS key, 2 AS failures"


async def test_rows_are_read_by_name_and_by_position(store: Repositories) -> None:
    async def unit(transaction: Transaction) -> Sequence[Row]:
        return await transaction.run(_ROW)

    driver = store.driver
    answers = [
        await driver.read(_ROW),
        await driver.read_soon(_ROW),
        await driver.write(unit),
        await driver.write_one(
            "INSERT INTO guesses (key, failures, retry_at, touched_at) VALUES ('a', 2, 0, 0) RETURNING key, failures"
        ),
    ]
    for (row,) in answers:
        assert _Record(**row) == _Record("a", 2)
        assert (row["key"], row[1], list(row.keys()), row[:1]) == ("a", 2, ["key", "failures"], ("a",))
        assert tuple(row) == ("a", 2)


async def test_who_gets_many_rows_goes_on_in_its_turn(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[None] = []

    async def counted(_: Turns) -> None:
        turns.append(None)

    monkeypatch.setattr(Turns, "turn", counted)
    numbers = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($1 AS INTEGER)) SELECT i FROM n"
    )
    for count, expected in ((MANY_ROWS - 1, 0), (MANY_ROWS, 1)):
        rows = await store.driver.read(numbers, count)
        assert [row["i"] for row in rows] == list(range(1, count + 1))
        assert len(turns) == expected
