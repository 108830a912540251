from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from server.background import PURGE_DELAY_MS, purge
from server.challenges.model import Purpose
from server.database.driver import Row, Transaction, Unit
from server.repositories import Repositories
from tests.challenges.making import BROWSER, Made, address, made_on, other_than
from tests.records import id_of


async def ids(store: Repositories) -> list[str]:
    return [row["id"] for row in await store.driver.read("SELECT id FROM challenges ORDER BY id")]


async def test_what_has_expired_is_deleted_a_day_later(store: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.database.steps.FIRST_STEP", 2)
    made = await made_on(store)
    resets = [await made.make(Purpose.RESET_PASSWORD) for _ in range(5)]
    made.clock.advance(1)
    kept = await made.make(Purpose.RESET_PASSWORD, 2)
    made.clock.advance((resets[0].challenge.expires_at + PURGE_DELAY_MS - made.clock.now_ms() - 1) / 1000)
    await purge(store, made.clock)
    assert len(await ids(store)) == 6
    made.clock.advance(0.001)
    await purge(store, made.clock)
    assert await ids(store) == [kept.challenge.id]


async def test_the_store_has_no_secret_of_a_challenge(store: Repositories) -> None:
    """OWASP Forgot Password Cheat Sheet: stored in a secure way."""
    made = await made_on(store)
    new = await made.make(Purpose.RESET_PASSWORD)
    rows = await store.driver.read("SELECT * FROM challenges")
    written = b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in rows[0])
    for secret in (new.token, new.token.removeprefix("wwf_"), new.code, new.code.replace("-", ""), BROWSER):
        assert secret.encode() not in written
    assert address(1).encode() in written


class Recording:
    """A driver whose transactions say which statements they have run, and how many rows were written."""

    def __init__(self, store: Repositories) -> None:
        self._driver = store.driver
        self.statements: list[str] = []
        self.written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def write(self, unit: Unit[Any]) -> Any:
        async def watched(transaction: Transaction) -> Any:
            return await unit(_Recorded(transaction, self))

        return await self._driver.write(watched)

    async def of(self, made: Made, **given: Any) -> tuple[int, int]:
        """How many statements a look takes, and how many rows it writes."""
        self.statements.clear()
        self.written.clear()
        made.challenges._driver = self
        assert await made.outcome(Purpose.RESET_PASSWORD, **given) == "code"
        return len(self.statements), sum(self.written)


class _Recorded:
    def __init__(self, transaction: Transaction, recording: Recording) -> None:
        self._transaction = transaction
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    async def run(self, sql: str, *parameters: Any) -> Sequence[Row]:
        rows = await self._transaction.run(sql, *parameters)
        self._recording.statements.append(sql)
        # All that write here say what they have written.
        self._recording.written.append(0 if sql.startswith("SELECT") else len(rows))
        return rows


async def test_a_wrong_code_costs_the_same_whether_there_is_anything_to_guess(store: Repositories) -> None:
    """ASVS 5.0, 6.3.8: users are not told apart by response times. Nobody, no challenge, used up, and one."""
    made, recording = await made_on(store), Recording(store)
    new = await made.make(Purpose.RESET_PASSWORD)
    wrong = other_than(new.code)
    costs = [
        await recording.of(made, user_id=None, code=wrong),
        await recording.of(made, user_id=id_of(2), code=wrong),
        *[await recording.of(made, user_id=id_of(1), code=wrong) for _ in range(11)],
        await recording.of(made, challenge_id=id_of(77), code=wrong),
        await recording.of(made, challenge_id="not an id", code=wrong),
        await recording.of(made, email_key="nobody@example.com", code=wrong),
    ]
    assert set(costs) == {(4, 3)}
    # What nobody has is counted as what somebody has: one row for each name.
    assert len(await store.driver.read("SELECT key FROM guesses WHERE key LIKE 'code-for:%'")) == 6
