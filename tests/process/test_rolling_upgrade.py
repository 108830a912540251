"""Nodes are replaced one by one by those of another version, while people use them. Nobody notices."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from tests.environment import ROOT, environment
from tests.process.programs import landed_program, later_program
from tests.process.rolling_load import Load, Nodes
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, run, serving
from tests.running import MASTER_KEY
from tests.volume import IS_FULL, volume

NODES = 2
PEOPLE = 8 if IS_FULL else 2
# Answers before the next step.
ANSWERS = volume(1500)

# One of each kind that CONTRIBUTING.md allows.
_FUNCTION = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.phone = ''; RETURN NEW; END$$;"
_COLUMNS = {"users": "phone", "sessions": "device", "revocations": "why", "guesses": "kind", "audit_events": "node"}
ADDED = {
    "table": 2 * ("CREATE TABLE later (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE);",),
    "columns": 2 * ("".join(f"ALTER TABLE {table} ADD COLUMN {name} TEXT;" for table, name in _COLUMNS.items()),),
    "default": 2 * ("ALTER TABLE server_keys ADD COLUMN note TEXT NOT NULL DEFAULT '';",),
    "check": ("", "ALTER TABLE users ADD CONSTRAINT fair CHECK (created_at > 0) NOT VALID;"),
    "validation": ("", "ALTER TABLE users VALIDATE CONSTRAINT fair;"),
    "index": (
        "CREATE INDEX users_by_making ON users (created_at);",
        "-- outside a transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_making ON users (created_at);",
    ),
    "trigger": (
        "CREATE TRIGGER note AFTER UPDATE ON users BEGIN UPDATE users SET phone = NEW.name WHERE id = NEW.id; END;",
        _FUNCTION + "CREATE TRIGGER note BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();",
    ),
}


class Site:
    """Nodes of several versions on one store, behind a load balancer, and people who use them."""

    def __init__(self, folder: Path, store_url: str, stack: AsyncExitStack) -> None:
        self.settings = {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
        self._folder = folder
        self._stack = stack
        self._balancer = Nodes()
        self._running: list[ServerProcess] = []
        self.load = Load(self._balancer)

    async def command(self, program: Path, *arguments: str) -> str:
        done = await asyncio.to_thread(run, self._folder, *arguments, PYTHONPATH=str(program), **self.settings)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    async def begin(self, program: Path, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command, whose output can be read."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", *arguments,
            cwd=self._folder, env=environment(PYTHONPATH=str(program), **self.settings),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def start(self, program: Path, *arguments: str) -> ServerProcess:
        """Start a node, which takes requests from then on."""
        settings = {"PYTHONPATH": str(program), **self.settings}
        node = serving(self._folder, *arguments, log_to=None, module="server", **settings)
        server = await asyncio.to_thread(node.__enter__)
        self._stack.push_async_callback(asyncio.to_thread, node.__exit__, None, None, None)
        assert await asyncio.to_thread(server.call, "GET", "/health/ready") == (200, {"status": "ok"})
        self._running.append(server)
        self._balancer.add(server.address)
        return server

    async def stop_oldest(self) -> None:
        """Stop the node that has run for the longest time, as a load balancer sees it."""
        server = self._running.pop(0)
        await self._balancer.take_out(server.address)
        assert await asyncio.to_thread(server.stop) == 0

    async def replace(self, program: Path, nodes: int = NODES) -> None:
        """Start nodes of the program, and stop as many old ones, one by one."""
        for _ in range(nodes):
            await self.start(program)
            await self.load.go_on(ANSWERS)
            await self.stop_oldest()
            await self.load.go_on(ANSWERS)


@asynccontextmanager
async def site(folder: Path, store_url: str, program: Path) -> AsyncIterator[Site]:
    """Nodes of that program, in use. At the end nothing has failed, and nothing that was acknowledged is lost."""
    async with AsyncExitStack() as stack:
        made = Site(folder, store_url, stack)
        first = await made.start(program)
        made.load.admin_password = first.admin_password()
        for _ in range(NODES - 1):
            await made.start(program)
        people = asyncio.create_task(made.load.run(PEOPLE))
        await made.load.go_on(ANSWERS)
        yield made
        made.load.end()
        await people
        assert made.load.failures == []
        await made.load.verify()


async def test_nodes_of_the_landed_version_are_replaced(tmp_path: Path, postgres_url: str) -> None:
    landed = landed_program(tmp_path / "landed")
    async with site(tmp_path, postgres_url, landed) as running:
        assert "applied  0011" in await running.command(ROOT, "migrate")
        await running.load.go_on(ANSWERS)
        await running.replace(ROOT)
        await running.command(ROOT, "audit", "verify")


async def test_nodes_of_this_version_are_replaced_and_brought_back(tmp_path: Path, postgres_url: str) -> None:
    """Also while a dump holds a lock on each table. A node of this version that fails is started again meanwhile."""
    later = later_program(tmp_path / "later", ADDED)
    async with site(tmp_path, postgres_url, ROOT) as running:
        dump = await asyncpg.connect(postgres_url, server_settings={"application_name": "a dump"})
        async with dump.transaction():
            await dump.execute("LOCK TABLE watchword.users IN ACCESS SHARE MODE")
            migrating = await running.begin(later, "migrate")
            said = await _said_about_a_wait(migrating)
            assert "users: pid " in said
            assert "(a dump, " in said
            await running.load.go_on(ANSWERS)
        await dump.close()
        done, _ = await migrating.communicate()
        assert all(f"_{name}\n" in done.decode() for name in ADDED)
        assert "up to date" in await running.command(ROOT, "migrate", "--check")
        await running.replace(ROOT, 1)
        await running.replace(later, NODES if IS_FULL else 1)
        await running.replace(ROOT, 1)


async def _said_about_a_wait(migrating: asyncio.subprocess.Process) -> str:
    """The line that names who holds the lock."""
    assert migrating.stderr is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        async for line in migrating.stderr:
            if b"a migration waits for a lock" in line and b"unknown" not in line:
                return line.decode()
    raise AssertionError("it ended")
