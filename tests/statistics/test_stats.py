"""GET /stats: what it counts, and how rarely."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from server.core.clock import rfc3339
from server.core.errors import StoreUnavailable
from server.settings.tree import PasswordSettings, RoleSettings, default_roles
from server.statistics.service import HOUR_MS, REMEMBERED_SECONDS, Statistics
from server.users.model import UserFilter
from tests.clock import FakeClock
from tests.running import PASSWORD, Api, StartApi, settings_with


async def stats(api: Api, token: str) -> dict[str, Any]:
    response = await api.request("GET", "/stats", token)
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
    body: dict[str, Any] = await response.json()
    assert set(body) == {"users", "sessions_live", "sign_ins", "hash_queue"}
    return body


async def test_users_by_role_and_state(start_api: StartApi, store_url: str) -> None:
    roles = default_roles() | {"support": RoleSettings(includes=("customer",))}
    api = await start_api(roles=roles)
    token = await api.token("sahan")
    for name in ("a", "b"):
        await api.services.users.create(name, name, "customer", PASSWORD)
    (user,) = await api.services.repositories.users.list_users(UserFilter(limit=1, text="lak"))
    await api.request("PATCH", f"/users/{user.id}", token, json={"disabled": True})
    figures = await stats(api, token)
    assert figures["users"] == {"total": 4, "disabled": 1, "by_role": {"customer": 3, "admin": 1, "support": 0}}
    assert list(figures["users"]["by_role"]) == list(roles)
    # Of a role that is taken out of the settings.
    await api.services.users.create("c", "c", "support", PASSWORD)
    await api.live.prepare(settings_with(store_url))
    api.live.take()
    by_role = (await stats(api, token))["users"]["by_role"]
    assert list(by_role.items()) == [("customer", 3), ("admin", 1), ("support", 1)]


async def test_sign_ins_of_the_last_day_by_the_hour(api: Api) -> None:
    now = api.clock.now_ms()
    api.clock.advance((HOUR_MS - now % HOUR_MS) / 1000 - 1)
    # An hour that is not shown any more, then the first that is.
    await api.log_in("lak")
    api.clock.advance(1)
    await api.log_in("lak")
    await api.log_in("lak")
    api.clock.advance(3600)
    await api.request("POST", "/login", json={"username": "lak", "password": "x"})
    await api.request("POST", "/login", json={"username": "nobody", "password": "x"})
    api.clock.advance(22 * 3600 + 3599)
    figures = await stats(api, await api.token("sahan"))
    begin = api.clock.now_ms() // HOUR_MS * HOUR_MS - 23 * HOUR_MS
    assert [one["hour"] for one in figures["sign_ins"]] == [rfc3339(begin + hour * HOUR_MS) for hour in range(24)]
    assert datetime.fromisoformat(figures["sign_ins"][-1]["hour"]) == datetime.fromtimestamp(
        api.clock.now_ms() // HOUR_MS * 3600, UTC
    )
    counted = [(one["succeeded"], one["failed"]) for one in figures["sign_ins"]]
    assert counted == [(2, 0), (0, 2), *[(0, 0)] * 21, (1, 0)]
    # Four log-ins: none has ended.
    assert figures["sessions_live"] == 4


async def test_the_queue_is_that_of_this_moment(start_api: StartApi) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_queue=7, hash_threads=3))
    token = await api.token("sahan")
    assert (await stats(api, token))["hash_queue"] == {"waiting": 0, "limit": 7, "threads": 3}
    # Not remembered as the rest is.
    api.services.hashes.change(api.services.hashes.hasher, 2, 5, 5)
    assert (await stats(api, token))["hash_queue"] == {"waiting": 0, "limit": 5, "threads": 2}


async def test_it_is_counted_anew_after_a_few_seconds(api: Api) -> None:
    token = await api.token("sahan")
    first = await stats(api, token)
    await api.log_in("lak")
    await api.services.users.create("a", "a", "customer", PASSWORD)
    assert await stats(api, token) == first
    api.clock.advance(REMEMBERED_SECONDS)
    second = await stats(api, token)
    assert second["users"]["total"] == first["users"]["total"] + 1
    assert second["sessions_live"] == first["sessions_live"] + 1
    assert second["sign_ins"][-1]["succeeded"] == first["sign_ins"][-1]["succeeded"] + 1


@pytest.mark.parametrize("query", ["?limit=1", "?x"])
async def test_a_query_is_not_looked_at(api: Api, query: str) -> None:
    assert (await api.request("GET", f"/stats{query}", await api.token("sahan"))).status == 200


class Counter:
    """Counts as slowly as a test wants, and fails where it says so."""

    def __init__(self, clock: FakeClock, seconds: float = 0) -> None:
        self.calls = 0
        self.fails = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self._clock = clock
        self._seconds = seconds

    async def count_by_role(self) -> dict[str, int]:
        self.calls += 1
        await self.go_on.wait()
        self._clock.advance(self._seconds)
        if self.fails:
            raise StoreUnavailable
        return {"admin": self.calls}

    async def count_disabled(self) -> int:
        return 0

    async def count_living(self, _now: int) -> int:
        return 0

    async def count_sign_ins(self, begins: range, _end: int) -> list[tuple[int, int]]:
        return [(0, 0)] * len(begins)


def statistics(counter: Counter, clock: FakeClock) -> Statistics:
    parts: Any = counter
    return Statistics(users=parts, sessions=parts, audit=parts, clock=clock, roles=("admin",))


async def test_calls_at_the_same_moment_share_a_count_and_who_leaves_takes_it_from_nobody() -> None:
    clock = FakeClock()
    counter = Counter(clock)
    counted = statistics(counter, clock)
    counter.go_on.clear()
    calls = [asyncio.create_task(counted.figures()) for _ in range(5)]
    await asyncio.sleep(0)
    calls[0].cancel()
    counter.go_on.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer.total for answer in answers[1:] if not isinstance(answer, BaseException)] == [1] * 4
    assert counter.calls == 1


async def test_where_counting_is_slow_it_is_rare() -> None:
    clock = FakeClock()
    counter = Counter(clock, seconds=2)
    counted = statistics(counter, clock)
    await counted.figures()
    clock.advance(39)
    await counted.figures()
    assert counter.calls == 1
    clock.advance(1)
    assert (await counted.figures()).total == 2


async def test_a_failure_is_not_remembered() -> None:
    clock = FakeClock()
    counter = Counter(clock)
    counted = statistics(counter, clock)
    counter.fails = True
    with pytest.raises(StoreUnavailable):
        await counted.figures()
    counter.fails = False
    assert (await counted.figures()).total == 2
    # Nor does one take the figures away, but it is told as soon as they are too old.
    counter.fails = True
    assert (await counted.figures()).total == 2
    clock.advance(REMEMBERED_SECONDS)
    with pytest.raises(StoreUnavailable):
        await counted.figures()
