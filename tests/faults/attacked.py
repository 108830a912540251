"""A whole server that clients attack, and what is looked at afterwards: nothing of it may be left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.calling import DEADLINE_SECONDS
from tests.faults.watched_server import SOCKET
from tests.process.server_process import ServerProcess, serving
from tests.processes import resident_kb, with_children
from tests.running import MASTER_KEY
from tests.volume import IS_FULL

MEMORY_MB = 20.0
# Of others, whose p99 may double. Below this, twice as much is nobody's trouble, and chance decides.
LEAST_MS = 5.0
# SQLite keeps a descriptor of a file while a lock is held, and takes it when the file is opened again. The pool of
# PostgreSQL makes connections as they are needed.
POOL_SIZE = 5
FEW_DESCRIPTORS = 2 * POOL_SIZE
# What nearly all writes touch.
LOCKED = ("watchword.users", "watchword.sessions", "watchword.audit_events", "watchword.audit_head")
PARSERS = ("in C", "in Python")
in_full = pytest.mark.skipif(not IS_FULL, reason="make faults runs it")


@dataclass(frozen=True)
class Held:
    """What the processes of a server hold."""

    # What they lead to, and how many to each.
    descriptors: Counter[str]
    memory_mb: float
    tasks: int
    connections: int


class Attacked:
    """A running server with an admin who is logged in."""

    def __init__(self, server: ServerProcess, store_url: str, watch: Path | None) -> None:
        self.server = server
        self.pid = server.process.pid
        self.port = int(server.address.rpartition(":")[2])
        self.store_url = store_url
        self._watch = watch
        self.password = server.admin_password()
        self.token: str = server.log_in("admin", self.password)["token"]

    @property
    def pids(self) -> list[int]:
        """The server, and its workers."""
        return with_children(self.pid)

    def held(self) -> Held:
        tasks, connections = self._watched()
        return Held(
            self.descriptors(),
            sum(resident_kb(pid) for pid in self.pids) / 1000,
            tasks,
            connections,
        )

    def _watched(self) -> tuple[int, int]:
        """Tasks and connections of the event loop; of a server with workers nobody tells them."""
        if self._watch is None:
            return 0, 0
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self._watch))
            tasks, connections = json.loads(asking.makefile().read())
        return tasks, connections

    def warm(self) -> Held:
        """What is held once each kind of answer was given, so that first times do not count as growth."""
        for path in ("/health/live", "/health/ready", "/verify", "/me", "/users", "/audit", "/docs", "/openapi.json"):
            with contextlib.suppress(json.JSONDecodeError):
                self.server.call("GET", path, token=self.token)
        self.server.call("POST", "/login", {"username": "nobody", "password": "wrong"})
        return self.at_rest()

    def at_rest(self) -> Held:
        """When the last connection is closed."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (held := self.held()).connections:
            assert time.monotonic() < deadline, held
            time.sleep(0.05)
        return held

    def descriptors(self) -> Counter[str]:
        return sum((_descriptors(pid) for pid in self.pids), Counter())

    def left_nothing(self, before: Held) -> Held:
        """Wait until what is held is what was held before."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            now = self.held()
            more = (now.descriptors - before.descriptors).total()
            if (
                more <= FEW_DESCRIPTORS
                and (now.tasks, now.connections) == (before.tasks, 0)
                and now.memory_mb - before.memory_mb <= MEMORY_MB
            ):
                break
            assert time.monotonic() < deadline, (before, now, now.descriptors - before.descriptors)
            time.sleep(0.05)
        assert "Traceback" not in self.server.log()
        assert self.server.call("GET", "/health/ready")[0] == 200
        return now

    def seconds_to_the_lock(self) -> float:
        """How long another process waits until it may write. Fails if a transaction was left open."""
        begun = time.monotonic()
        if self.store_url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.store_url.removeprefix("sqlite:///"), timeout=3)) as other:
                other.execute("BEGIN IMMEDIATE")
                other.rollback()
        else:
            asyncio.run(_wait_until_idle(self.store_url))
        return time.monotonic() - begun


def _descriptors(pid: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            # Sockets and pipes have a number behind their kind.
            found[str(descriptor.readlink()).partition(":[")[0]] += 1
    return found


async def _wait_until_idle(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(3):
            while await connection.fetchval(  # noqa: ASYNC110 - PostgreSQL has no event for it
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND (state LIKE 'idle in transaction%' OR (state = 'active' AND wait_event_type = 'Lock'))"
            ):
                await asyncio.sleep(0.01)
        # Nobody holds a row or a table any more.
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '3s'")
            await connection.execute(f"LOCK TABLE {', '.join(LOCKED)} IN ACCESS EXCLUSIVE MODE")
    finally:
        await connection.close()


@contextlib.contextmanager
def attacked(
    folder: Path, store_url: str | None = None, *, parser: str = "in C", workers: int = 1, **settings: str
) -> Iterator[Attacked]:
    """A server that takes wrong passwords as often as they come. It is stopped at the end, and has to end well."""
    url = store_url or f"sqlite:///{folder}/watchword.db"
    watch = folder / "watched" if workers == 1 else None
    environment: dict[str, Any] = {
        "WATCHWORD__STORE__URL": url,
        "WATCHWORD__STORE__POOL_SIZE": str(POOL_SIZE),
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__SERVER__WORKERS": str(workers),
        "WATCHWORD__LIMITS__ADDRESS_GUESSES_PER_HOUR": "1000000",
        "WATCHWORD__LIMITS__ALL_GUESSES_PER_HOUR": "1000000",
        "AIOHTTP_NO_EXTENSIONS": "" if parser == "in C" else "1",
        **({} if watch is None else {SOCKET: str(watch)}),
        **settings,
    }
    module = "server" if watch is None else "tests.faults.watched_server"
    with serving(folder, module=module, **environment) as server:
        yield Attacked(server, url, watch)
        assert server.stop() == 0
        assert "Traceback" not in server.log()
