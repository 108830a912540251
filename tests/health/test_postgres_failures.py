"""PostgreSQL that fails in part, seen by clients: 503 with Retry-After in time, never 500, and well again by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.database.postgres import driver as postgres
from server.health import service as readiness
from tests.calling import PAUSE_SECONDS
from tests.postgres import PostgresServer
from tests.postgres_proxy import PostgresProxy
from tests.running import PASSWORD, Api, StartApi

pytestmark = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)

# No answer takes longer with a failing store.
LONGEST_SECONDS = 5.0
# Where something else would wait for ever.
BOUND_SECONDS = 30
# More than the server has connections.
MANY = 24


@dataclass
class Scene:
    """A server whose PostgreSQL is behind a proxy, and a connection of an operator past the proxy."""

    api: Api
    start: StartApi
    proxy: PostgresProxy
    database: str
    operator: asyncpg.Connection[asyncpg.Record]
    token: str

    async def run(self, sql: str) -> None:
        await self.operator.execute(sql)

    async def answer(self, number: int) -> int:
        """The status of one request, a write or a read."""
        async with asyncio.timeout(LONGEST_SECONDS):
            if number % 2:
                body = {"username": "lak", "password": PASSWORD}
                response = await self.api.request("POST", "/login", json=body)
            else:
                response = await self.api.request("GET", "/users", self.token)
        if response.status == 503:
            await self.api.problem(response, 503, "store_unavailable")
            assert int(response.headers["Retry-After"]) >= 1
        return response.status

    async def answers(self, count: int = MANY) -> Counter[int]:
        return Counter(await asyncio.gather(*(self.answer(number) for number in range(count))))

    async def soon(self, expected: Counter[int]) -> None:
        """Until these are the answers: once the database is known to be away, it is asked a few times a second."""
        async with asyncio.timeout(BOUND_SECONDS):
            while (found := await self.answers(expected.total())) != expected:
                assert set(found) <= {200, 503}
                await asyncio.sleep(0.02)

    async def well_again(self) -> None:
        """It is noticed in a moment that the database is back."""
        await self.soon(Counter({200: 2}))
        assert await self.answers() == {200: MANY}


@pytest.fixture
async def scene(
    start_api: StartApi, store_url: str, postgres_proxy: PostgresProxy, postgres_server: PostgresServer
) -> AsyncIterator[Scene]:
    database = urlsplit(store_url).path[1:]
    api = await start_api(url=postgres_proxy.url(database))
    operator = await asyncpg.connect(postgres_server.url())
    yield Scene(api, start_api, postgres_proxy, database, operator, await api.token("sahan"))
    await operator.close()


async def test_terminated_connections(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    """pg_terminate_backend, as an operator or a pooler does it; asyncpg tells of it in many ways."""
    over = asyncio.Event()

    async def terminate() -> None:
        while not over.is_set():
            await scene.operator.execute(
                "SELECT pg_terminate_backend(pid), pg_sleep(0.02) FROM pg_stat_activity WHERE datname = $1",
                scene.database,
            )

    terminating = asyncio.create_task(terminate())
    seen = sum([await scene.answers() for _ in range(5)], Counter[int]())
    over.set()
    await terminating
    assert set(seen) <= {200, 503}
    assert seen[503]
    # Attempts whose end could not be noted count as running for a while.
    scene.api.clock.advance(120)
    await scene.well_again()
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_network_that_passes_nothing_on(scene: Scene, store_url: str) -> None:
    other = await scene.start(url=store_url)
    lost = await other.token("lak")
    assert (await scene.api.request("GET", "/verify", lost)).status == 204
    # What is connected is lost without a word; who connects anew gets through.
    scene.proxy.hold()
    assert (await other.request("POST", "/logout", lost)).status == 204
    async with asyncio.timeout(BOUND_SECONDS):
        while (await scene.api.request("GET", "/verify", lost)).status == 204:  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_SECONDS)
    assert await scene.answers() == {200: MANY}
    # Now nobody gets through, and neither does the end of the server have to wait for long.
    scene.proxy.hold(new_too=True)
    assert await scene.answers() == {503: MANY}
    async with asyncio.timeout(LONGEST_SECONDS):
        await scene.api.client.close()
        await scene.api.services.repositories.close()


async def test_slow_answers_do_not_add_up(scene: Scene) -> None:
    """Each is in time for itself; a login makes a dozen round trips."""
    assert await scene.answer(1) == 200
    scene.proxy.delay_seconds = 0.5
    assert await scene.answer(1) == 503
    scene.proxy.delay_seconds = 0.0
    await scene.well_again()


async def test_not_ready_while_a_login_could_not_write(
    scene: Scene, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, a write that can succeed is waited for.
    monkeypatch.setattr(readiness, "WAIT_SECONDS", BOUND_SECONDS)

    async def ready() -> int:
        scene.api.clock.advance(readiness.FRESH_SECONDS)
        return (await scene.api.request("GET", "/health/ready")).status

    async def soon_ready() -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            while await ready() != 200:
                pass

    await soon_ready()
    inside = await asyncpg.connect(store_url)
    for table in ("users", "sessions", "guesses", "audit_head", "audit_events"):
        transaction = inside.transaction()
        await transaction.start()
        await inside.execute(f"LOCK TABLE watchword.{table} IN SHARE MODE")
        with monkeypatch.context() as patched:
            # Nobody lets go of the lock meanwhile, so it need not be waited for.
            patched.setattr(readiness, "WAIT_SECONDS", 0.2)
            assert (table, await ready()) == (table, 503)
        await transaction.rollback()
        await soon_ready()
        await inside.execute(f"ALTER TABLE watchword.{table} RENAME TO gone")
        assert (table, await ready()) == (table, 503)
        await inside.execute(f"ALTER TABLE watchword.gone RENAME TO {table}")
        await soon_ready()
    # As PostgreSQL tells that there is no room for a new page; what readiness writes needs none.
    monkeypatch.setattr(postgres, "FULL_SECONDS", 3600)
    await inside.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END$$"
    )
    await inside.execute(
        "CREATE TRIGGER full_disk BEFORE INSERT ON watchword.sessions FOR EACH ROW EXECUTE FUNCTION full_disk()"
    )
    assert await scene.answer(1) == 503
    assert await ready() == 503
    await inside.execute("DROP TRIGGER full_disk ON watchword.sessions")
    driver: Any = scene.api.services.repositories.driver
    driver._full_until = 0.0
    await soon_ready()
    await inside.close()


async def test_the_server_is_gone_for_a_while(scene: Scene) -> None:
    await scene.proxy.refuse()
    assert await scene.answers() == {503: MANY}
    await scene.proxy.listen()
    await scene.well_again()


async def test_when_there_is_no_free_slot_requests_wait_for_one(scene: Scene, store_url: str) -> None:
    await scene.run("CREATE ROLE few LOGIN CONNECTION LIMIT 3")
    try:
        await scene.run(f"ALTER DATABASE {scene.database} OWNER TO few")
        connection = await asyncpg.connect(store_url)
        await connection.execute(
            "GRANT ALL ON SCHEMA watchword TO few; GRANT ALL ON ALL TABLES IN SCHEMA watchword TO few"
        )
        await connection.close()
        few = await scene.start(url=scene.proxy.url(scene.database).replace("postgres@", "few@"))
        scene.api = few
        assert await scene.answers() == {200: MANY}
        await scene.run("ALTER ROLE few CONNECTION LIMIT 0")
        scene.proxy.cut()
        assert await scene.answers(4) == {503: 4}
        await scene.run("ALTER ROLE few CONNECTION LIMIT 3")
        assert await scene.answers() == {200: MANY}
        await few.client.close()
        await few.services.repositories.close()
    finally:
        await scene.run(f"ALTER DATABASE {scene.database} OWNER TO postgres")
        connection = await asyncpg.connect(store_url)
        await connection.execute("DROP OWNED BY few")
        await connection.close()
        await scene.run("DROP ROLE few")


# What is done to the database, how it is undone, and what a write and a read get meanwhile.
Change = Callable[[str], str]
FAULTS: dict[str, tuple[Change, Change, Counter[int]]] = {
    "read only": (
        lambda name: f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        lambda name: f"ALTER DATABASE {name} RESET default_transaction_read_only",
        Counter({200: 2, 503: 2}),
    ),
    "renamed": (
        lambda name: f"ALTER DATABASE {name} RENAME TO away",
        lambda name: f"ALTER DATABASE away RENAME TO {name}",
        Counter({503: 4}),
    ),
    "closed to all": (
        lambda name: f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        lambda name: f"ALTER DATABASE {name} ALLOW_CONNECTIONS true",
        Counter({503: 4}),
    ),
}


async def test_a_database_that_is_changed_under_a_running_server(scene: Scene, store_url: str) -> None:
    for change, undo, expected in FAULTS.values():
        # No connection may be left there while it gets another name.
        await scene.proxy.refuse()
        async with asyncio.timeout(BOUND_SECONDS):
            while await scene.operator.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", scene.database
            ):
                pass
        await scene.run(change(scene.database))
        await scene.proxy.listen()
        await scene.soon(expected)
        await scene.run(undo(scene.database))
        # Sessions that were begun meanwhile would be read-only to their end.
        await scene.soon(Counter({200: 4}))
    inside = await asyncpg.connect(store_url)
    for change_inside, undo_inside in (
        ("ALTER TABLE watchword.users RENAME TO gone", "ALTER TABLE watchword.gone RENAME TO users"),
        ("ALTER SCHEMA watchword RENAME TO gone", "ALTER SCHEMA gone RENAME TO watchword"),
    ):
        await inside.execute(change_inside)
        assert await scene.answers(4) == {503: 4}
        await inside.execute(undo_inside)
        assert await scene.answers(4) == {200: 4}
    # As by the migration of a newer program, while this one runs on.
    for change_inside in (
        "ADD later INT NOT NULL DEFAULT 1; ALTER TABLE watchword.sessions ALTER later DROP DEFAULT",
        "DROP later, ADD CONSTRAINT later CHECK (false) NOT VALID",
    ):
        await inside.execute(f"ALTER TABLE watchword.sessions {change_inside}")
        assert await scene.answers(4) == {200: 2, 503: 2}
    await inside.execute("ALTER TABLE watchword.sessions DROP CONSTRAINT later")
    # As a dump that is restored under a running server.
    await inside.execute("UPDATE watchword.audit_head SET seq = seq - 1")
    assert await scene.answers(4) == {200: 2, 503: 2}
    await inside.close()
