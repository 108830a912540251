"""A server, the load, what is done beside it, and the figures of it all."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg

from server.routes import ROUTES
from tests.environment import environment
from tests.faults.fuzzed import faults_in
from tests.faults.soak.calls import PUT_OFF, Calls, Inbox, TooLate
from tests.faults.soak.lives import PUBLIC_URL, Life, Lives
from tests.faults.soak.measuring import Samples
from tests.faults.soak.odd_clients import OddClients
from tests.listening import free_port
from tests.mail.mail_server import mail_server
from tests.metrics.scraping import read
from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, serving
from tests.running import MASTER_KEY

# The audit log keeps everything by design. All other tables may not grow, also those that are yet to come.
GROWING = frozenset({"audit_events", "audit_times"})
_TABLES = {
    # Without the table that FTS5 only seems to have; its own ones are there.
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'watchword'",
}
_SETTINGS = """
[server]
public_url = "{public_url}"
trusted_proxies = ["127.0.0.0/8"]
body_timeout_seconds = 1
workers = {workers}
[store]
url = "{store_url}"
pool_size = 3
[tokens]
access_ttl_seconds = {ttl}
cache_size = {cache_size}
[sessions]
idle_ttl_seconds = {ttl}
max_ttl_seconds = {ttl}
retry_window_seconds = 1
[passwords]
reset_ttl_seconds = 60
[keys]
master_key = "{master_key}"
jwks_max_age_seconds = 1
[limits]
address_guesses_per_hour = 1000000
all_guesses_per_hour = 3600000
account_mails_per_hour = 1000
address_mails_per_hour = 1000000
all_mails_per_hour = 3600000
[registration]
mode = "open"
[mail]
url = "{mail_url}"
from = "auth@mail.example"
sign_in_codes = true
[metrics]
port = {metrics_port}
[logs]
format = "json"
[pages]
name = "{name}"
"""
_SAMPLE_SECONDS = 1.0
_BETWEEN_COMMANDS_SECONDS = 2.0
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 300


@dataclass
class Outcome:
    """What a run has shown."""

    samples: Samples
    seconds: float
    answers: int = 0
    reloads: int = 0
    commands: int = 0
    # Lives that were slower than their tokens, or were told to come again.
    late: int = 0
    failures: list[str] = field(default_factory=list)
    # By method and route: the statuses that were answered.
    answered: dict[tuple[str, str], Counter[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def not_called(self) -> list[str]:
        """Routes of the table that never answered well: the load does not cover them."""
        return [
            route.name
            for route in ROUTES
            if not any(status < 400 for status in self.answered.get((route.method, route.path), ()))
        ]

    @property
    def statuses(self) -> set[int]:
        return {status for counter in self.answered.values() for status in counter}


class Soak:
    """One run."""

    def __init__(self, folder: Path, store_url: str, seconds: float, workers: int, people: int) -> None:
        self._folder = folder
        self._store_url = store_url
        self._seconds = seconds
        self._workers = workers
        self._people = people
        # A life has to end before its tokens, also on a busy machine; and much has to expire within the run.
        self._ttl_seconds = max(30, min(120, round(seconds / 10)))
        self._metrics_port = free_port()
        # The commands have to know where the server listens.
        self._environment = {"WATCHWORD__SERVER__PORT": str(free_port())}
        self._chance = random.Random(20)
        self._over = asyncio.Event()
        # How often each life was lived to its end.
        self._lived: Counter[Life] = Counter()

    async def run(self) -> Outcome:
        inbox = Inbox()
        with mail_server(handler=inbox) as mails:
            self._mail_url = mails.url
            self._write_settings()
            log = self._folder / "log.jsonl"
            quick = "tests.faults.soak.quick_server"
            with serving(self._folder, log_to=log, module=quick, **self._environment) as server:
                self._outcome = Outcome(Samples(server.process.pid, self._folder), self._seconds)
                await self._load(server, inbox)
                self._outcome.answered = self._scraped()
                self._outcome.reloads = server.log().count("the settings were reloaded")
                if server.stop() != 0:
                    self._outcome.failures.append("the server did not end well")
            # A reload is refused, and said to be, where a busy machine lets the store answer too late.
            self._outcome.faults = [line for line in faults_in(log) if "The store can't be reached" not in line]
        return self._outcome

    def _write_settings(self) -> None:
        """A reload finds something new each time."""
        text = _SETTINGS.format(
            workers=self._workers,
            store_url=self._store_url,
            master_key=MASTER_KEY,
            mail_url=self._mail_url,
            public_url=PUBLIC_URL,
            ttl=self._ttl_seconds,
            metrics_port=self._metrics_port,
            # With another size the verifier is a new one. Most of the time it stays.
            cache_size=self._chance.choice((1000, 1000, 1000, 1000, 1000, 2000)),
            name=f"Watchword {self._chance.randrange(1000)}",
        )
        # In one step: a command may read it at any moment.
        written = self._folder / "written.toml"
        written.write_text(text)
        written.replace(self._folder / "config.toml")

    async def _load(self, server: ServerProcess, inbox: Inbox) -> None:
        timeout = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)
        connector = aiohttp.TCPConnector(limit=40, keepalive_timeout=5)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
            call = Calls(server.address, session)
            odd = OddClients(call)
            lives = [*Lives(call, inbox, server.admin_password()).all(), odd.errors, odd.leavers]
            every = _BETWEEN_COMMANDS_SECONDS
            async with asyncio.TaskGroup() as group:
                for life in lives * self._people:
                    group.create_task(self._again_and_again(life))
                group.create_task(self._again_and_again(self._command, every))
                group.create_task(self._again_and_again(lambda: self._hang_up(server), 2 * every))
                group.create_task(self._measure())
                await asyncio.sleep(self._seconds)
                await self._all_lived(lives)
                # Each finishes what it has begun.
                self._over.set()
            self._outcome.answers = call.answers
            inbox.forget()

    async def _all_lived(self, lives: Sequence[Life]) -> None:
        """On a busy machine a short run lasts until all was done, and measured."""
        deadline, taken = time.monotonic() + _PATIENCE_SECONDS, self._outcome.samples.taken
        while not self._outcome.failures:
            if "tasks" in taken and min(self._lived[life] for life in lives) >= self._people:
                return
            assert time.monotonic() < deadline, self._lived
            await asyncio.sleep(0.1)

    async def _again_and_again(self, life: Life, pause: float = _PAUSE_SECONDS) -> None:
        while not self._over.is_set():
            PUT_OFF.set(False)
            try:
                await life()
                self._lived[life] += 1
            except TooLate:
                self._outcome.late += 1
            except (AssertionError, aiohttp.ClientError, TimeoutError, OSError, KeyError) as error:
                if PUT_OFF.get():
                    self._outcome.late += 1
                else:
                    self._outcome.failures.append(f"{getattr(life, '__name__', life)}: {error!r}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), pause)

    async def _hang_up(self, server: ServerProcess) -> None:
        self._write_settings()
        server.process.send_signal(signal.SIGHUP)

    async def _command(self) -> None:
        """One that is used while the server runs."""
        copy = self._folder / "copy.db"
        commands = [
            ("users", "list", "--json"),
            ("audit", "verify"),
            ("audit", "list", "--limit", "5", "--json"),
            ("keys", "rotate", "--now"),
            ("keys", "list", "--json"),
            ("users", "invitations", "--json"),
            ("health",),
            ("config", "reload"),
        ]
        if self._store_url.startswith("sqlite"):
            commands.append(("store", "backup", str(copy)))
        chosen = commands[self._outcome.commands % len(commands)]
        self._outcome.commands += 1
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", *chosen,
            cwd=self._folder, env=environment(**self._environment),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        for made in (copy, copy.with_name("copy.db.key")):
            made.unlink(missing_ok=True)
        # A rotation may be under way already, and on a busy machine the server may not be ready for a moment.
        may_fail = chosen[:2] == ("keys", "rotate") or b"not ready" in told
        if process.returncode != 0 and not may_fail:
            raise AssertionError(" ".join(chosen) + f": {process.returncode} {told[-500:]!r}")

    async def _measure(self) -> None:
        samples = self._outcome.samples
        async with self._counting() as count:
            while not self._over.is_set():
                samples.take()
                for table, rows in (await count()).items():
                    samples.add(table, rows)
                tasks = [int(told) for path in self._folder.glob("tasks-*") if (told := path.read_text())]
                # The first round, in which they are told, may come late.
                if tasks:
                    samples.add("tasks", sum(tasks))
                await asyncio.to_thread(self._scraped)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), max(_SAMPLE_SECONDS, self._outcome.seconds / 300))

    @contextlib.asynccontextmanager
    async def _counting(self) -> AsyncIterator[Callable[[], Awaitable[dict[str, int]]]]:
        """Counts the rows of the tables, over a connection of its own."""
        if self._store_url.startswith("sqlite"):
            file = self._store_url.removeprefix("sqlite:///")
            yield lambda: asyncio.to_thread(_rows_of, file)
            return
        connection = await asyncpg.connect(self._store_url, server_settings={"search_path": "watchword"})

        async def ask() -> dict[str, int]:
            tables = [row[0] for row in await connection.fetch(_TABLES["postgres"])]
            return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}  # noqa: S608

        try:
            yield ask
        finally:
            await connection.close()

    def _scraped(self) -> dict[tuple[str, str], Counter[int]]:
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
            samples = read(answer.read().decode())
        found: dict[tuple[str, str], Counter[int]] = {}
        for (name, labels), value in samples.items():
            if name == "http_server_request_duration_seconds_count":
                told = dict(labels)
                key = (told["http_request_method"], told["http_route"])
                found.setdefault(key, Counter())[int(told["http_response_status_code"])] += int(value)
        return found


def _rows_of(file: str) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=DEADLINE_SECONDS)) as connection:
        tables = [row[0] for row in connection.execute(_TABLES["sqlite"])]
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608


async def soaked(folder: Path, store_url: str, seconds: float, workers: int = 1, people: int = 2) -> Outcome:
    """Run the load for so long, with so many people for each life."""
    begun = time.monotonic()
    outcome = await Soak(folder, store_url, seconds, workers, people).run()
    outcome.seconds = time.monotonic() - begun
    return outcome
