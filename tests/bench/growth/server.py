"""A whole server on each store: how long it takes to start, its memory, and what many live tokens cost."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from server.app import open_services
from server.sessions.issuing import IssuedTokens
from server.sessions.model import Session, UserSession
from tests.bench.growth.filling import settings_of
from tests.bench.growth.rows import DAY_MS, Size
from tests.bench.growth.side import Side
from tests.bench.growth.stores import Stores
from tests.bench.load import Client, cpu_seconds, get, in_turn
from tests.bench.workers import memory
from tests.figures import Figures
from tests.process.server_process import ServerProcess, serving
from tests.running import MASTER_KEY

STARTS = 3
FEW, MANY = 100, 100_000
CHECKED = 20_000


def settings(url: str, **more: str) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": url,
        "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY,
        "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
        "WATCHWORD__LOGS__FORMAT": "json",
        **more,
    }


@contextmanager
def server_on(url: str, folder: Path, module: str = "server", **more: str) -> Iterator[ServerProcess]:
    with serving(folder, log_to=Path(os.devnull), module=module, **settings(url, **more)) as server:
        yield server
        server.stop()


@dataclass
class Tokens:
    """Of sessions that live: those of users for checks, one of an admin, and refresh tokens of their own."""

    access: list[str]
    admin: str
    refresh: list[str]


async def tokens_of(url: str, size: Size, count: int) -> Tokens:
    async with open_services(settings_of(url), serving=False) as services:
        issuer = Side(services, size).issuer(access_ttl_seconds=86400)

        def issue(session_id: str, user: int, role: str) -> IssuedTokens:
            now = services.clock.now_ms()
            until = now + DAY_MS
            session = Session(session_id, size.user_id(user), 0, now, now, until, until, None, None, now, ("pwd",))
            return issuer.issue(UserSession(session, size.username(user), role, 0), now)

        def new_id() -> str:
            # A check does not look for the session, and other questions have ended some of those in the store.
            return services.ids.new_id()

        # Of users in the second half, whom no question has changed.
        half = size.count // 2
        access = [issue(new_id(), half + 1 + number % (half - 1), "customer").access_token for number in range(count)]
        kept = [number for number in range(1, 999) if size.owner(number) > half][:8]
        refresh = [issue(size.session_id(number), size.owner(number), "customer").refresh_token for number in kept]
        admin = issue(new_id(), 0, "admin").access_token
        return Tokens(access, admin, refresh)


def _megabytes_read(pid: int) -> float:
    """Of all files, whether they are in memory or not (proc_pid_io(5))."""
    return int(Path(f"/proc/{pid}/io").read_text("ascii").partition("rchar: ")[2].split()[0]) / 1e6


def starts(made: Stores, folder: Path, figures: Figures, kind: str) -> None:
    """Each store in turn."""
    urls = (made.small, made.large)
    seconds: dict[str, list[float]] = {url: [] for url in urls}
    computed: dict[str, list[float]] = {url: [] for url in urls}
    were_read: dict[str, list[float]] = {url: [] for url in urls}
    sizes: dict[str, list[float]] = {url: [] for url in urls}
    for _ in range(STARTS):
        for url in urls:
            begun = time.monotonic()
            with server_on(url, folder) as server:
                seconds[url].append(time.monotonic() - begun)
                computed[url].append(cpu_seconds(server.process.pid))
                were_read[url].append(_megabytes_read(server.process.pid))
                # A few requests, so that what every server needs is there.
                for _ in range(5):
                    server.call("GET", "/health/ready")
                sizes[url].append(memory(server.process.pid)[0])
    few, many = (statistics.median(seconds[url]) for url in urls)
    figures.told(f"{kind}, a start with few rows", few, "s")
    figures.at_most(f"{kind}, a start with many takes longer by", many - few, 2, "s")
    for what, found, unit in (("CPU time", computed, "s"), ("bytes that it reads", were_read, "MB")):
        few, many = (statistics.median(found[url]) for url in urls)
        figures.told(f"{kind}, {what}, few rows", few, unit)
        figures.told(f"{kind}, {what}, with many more by", many - few, unit)
    few, many = (statistics.median(sizes[url]) for url in urls)
    figures.told(f"{kind}, memory (Pss) with few rows", few, "MB")
    figures.at_most(f"{kind}, with many, and so with their revocations, more by", many - few, 60, "MB")


async def _checked(server: ServerProcess, tokens: list[str]) -> float:
    """CPU microseconds of a GET /verify, with these tokens in turn."""
    client = Client(server.address, server.process.pid, [in_turn([get("/verify", token) for token in tokens])], 204)
    await client.open()
    # Each is verified once, or as many as are remembered.
    await client.measure(max(len(tokens), 2000))
    rates = [await client.measure(max(CHECKED, len(tokens) // 3)) for _ in range(3)]
    client.close()
    return statistics.median(1e6 / rate.per_core for rate in rates)


def live_tokens(made: Stores, tokens: Tokens, folder: Path, figures: Figures, kind: str) -> None:
    with server_on(made.large, folder) as server:
        few = uvloop.run(_checked(server, tokens.access[:FEW]))
        before = memory(server.process.pid)[0]
        many = uvloop.run(_checked(server, tokens.access))
        figures.told(f"{kind}, CPU of GET /verify, {FEW} tokens in turn", few, "µs")
        figures.at_most(f"{kind}, times, with {len(tokens.access):,} tokens in turn", many / few, 1.5)
        figures.told(f"{kind}, memory of these tokens", memory(server.process.pid)[0] - before, "MB")
