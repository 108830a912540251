"""A server whose disk is full, takes no writes, fails, hangs or is away: what goes on, what is refused, and that all of
it goes on when the disk is well again, without a restart.

One server after the other, with one worker and with two, goes through all faults, so it also shows that nothing of the
one is left when the next begins.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.calling import DEADLINE_SECONDS
from tests.faults.disks import Disk, FailingCalls, covered, disk_in_a_file, disk_in_memory, immutable
from tests.faults.server_state import Held, held_by
from tests.faults.store_clients import StoreClients
from tests.figures import Figures
from tests.in_process import run
from tests.locks import sqlite_lock, write_lock
from tests.process.server_process import ServerProcess, serving
from tests.volume import IS_FULL

SECONDS = 1.5 if IS_FULL else 0.7
# Lines of one process in one fault: the beginning with at most five reasons, what waits in the background, the end.
MOST_LINES = 12
GROWN_KILOBYTES = 20_000
RECOVERY, UNREADY = "seconds until a login succeeds in each worker", "seconds until no worker is ready"
CHECK, LINES = "seconds of the slowest token check", "log lines of a process"
AIMS = {RECOVERY: 5.0, UNREADY: 2.0, CHECK: 1.0, LINES: float(MOST_LINES)}
OVER = {"the store answers again", "the files of the store are back"}


@dataclass
class Scene:
    """A server on a disk of its own. `failing` lets its system calls fail, where gcc is there."""

    workers: int
    disk: Disk
    failing: FailingCalls | None
    server: ServerProcess
    environment: dict[str, str]
    told: int = 0

    def lines(self) -> list[dict[str, str]]:
        """What the log has said since the last call, without the lines of a start."""
        whole = self.server.log()
        assert "Traceback" not in whole, whole
        new, self.told = whole[self.told :], len(whole)
        return [json.loads(line) for line in new.splitlines()]


Make = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """`reasons` are what /health/ready may say. What `goes_on` is answered as before; of `some` requests some fail."""

    make: Make
    reasons: frozenset[str]
    goes_on: frozenset[str] = frozenset({"read"})
    some: bool = False
    is_quick: bool = False


@contextmanager
def moved(scene: Scene, *endings: str) -> Iterator[None]:
    """These files have another name meanwhile, in another folder of the disk."""
    away = scene.disk.folder / "away"
    away.mkdir()
    files = [scene.disk.beside(ending) for ending in endings]
    for file in files:
        file.rename(away / file.name)
    try:
        yield
    finally:
        for file in files:
            (away / file.name).rename(file)
        away.rmdir()


@contextmanager
def full(scene: Scene, kept_bytes: int = 0) -> Iterator[None]:
    """Also the log is empty, so that each write needs room."""
    with write_lock(scene.disk.store), closing(sqlite3.connect(scene.disk.store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with scene.disk.filled(kept_bytes):
        yield


def calls_fail(what: str) -> Make:
    def make(scene: Scene) -> AbstractContextManager[None]:
        if scene.failing is None:
            pytest.skip("missing: gcc")
        return scene.failing.failing(what)

    return make


FULL = frozenset({"store_full", "store_slow"})
LOCKED = frozenset({"store_locked", "store_slow"})
AWAY = frozenset({"store_away"})
NOTHING: frozenset[str] = frozenset()
ALL_FILES = ("", "-wal", "-shm", ".write-lock", ".write-lock.turn", ".serve-lock", ".key")

FAULTS = {
    "full": Fault(full, FULL, is_quick=True),
    "nearly full": Fault(lambda scene: full(scene, kept_bytes=16_384), FULL, some=True),
    "takes no writes": Fault(lambda scene: immutable(*(scene.disk.beside(ending) for ending in ("", "-wal"))), FULL),
    "locked by SQLite": Fault(lambda scene: sqlite_lock(scene.disk.store), LOCKED),
    "locked by a command": Fault(lambda scene: write_lock(scene.disk.store), LOCKED),
    "covered by another disk": Fault(lambda scene: covered(scene.disk.folder), AWAY, NOTHING),
    "all files moved": Fault(lambda scene: moved(scene, *ALL_FILES), AWAY, NOTHING, is_quick=True),
    "database moved": Fault(lambda scene: moved(scene, ""), AWAY, NOTHING),
    "log moved": Fault(lambda scene: moved(scene, "-wal"), AWAY, NOTHING),
    "index of the log moved": Fault(lambda scene: moved(scene, "-shm"), AWAY, NOTHING),
    "lock moved": Fault(lambda scene: moved(scene, ".serve-lock"), AWAY, NOTHING),
    "writes fail": Fault(calls_fail("write"), FULL),
    "some writes fail": Fault(calls_fail("every write 7"), FULL, some=True),
    "syncs fail": Fault(calls_fail("sync"), FULL),
    "syncs hang": Fault(calls_fail("hang"), LOCKED),
    "reads fail": Fault(calls_fail("read"), frozenset({"store_damaged", "store_full"}), NOTHING, some=True),
}


# With one worker and with two. What one of them does by itself is tried with two alone.
CASES = [(1, name) for name, fault in FAULTS.items() if fault.is_quick]
if IS_FULL:
    CASES += [(1, "locked by SQLite"), (1, "some writes fail"), *((2, name) for name in FAULTS)]


class Scenes:
    """A server for each number of workers, and the worst of what all of its faults have shown."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._made: dict[int, Scene] = {}
        self.worst: dict[str, tuple[float, str]] = {}

    def of(self, workers: int) -> Scene:
        if workers not in self._made:
            self._made[workers] = self._stack.enter_context(_scene(self._folder / str(workers), workers))
        return self._made[workers]

    def note(self, what: str, found: float, fault: str) -> None:
        self.worst[what] = max(self.worst.get(what, (0.0, "")), (found, fault))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, figures: Figures) -> Iterator[Scenes]:
    with ExitStack() as stack:
        scenes = Scenes(tmp_path_factory.mktemp("disks"), stack)
        yield scenes
        for what, (found, fault) in scenes.worst.items():
            figures.at_most(f"store, worst of {len(CASES)} faults ({fault}): {what}", found, AIMS[what])


@pytest.fixture
def scene(scenes: Scenes, request: pytest.FixtureRequest) -> Scene:
    return scenes.of(request.param)


@contextmanager
def _scene(folder: Path, workers: int) -> Iterator[Scene]:
    folder.mkdir()
    with ExitStack() as stack:
        # In memory it costs less, and only on a disk in a file all faults can be made.
        disk = stack.enter_context(
            disk_in_a_file(folder / "disk", 32) if IS_FULL else disk_in_memory(folder / "disk", 8000)
        )
        failing = FailingCalls(folder, "/disk/watchword.db") if IS_FULL and shutil.which("gcc") else None
        environment = {
            "WATCHWORD__STORE__URL": disk.url,
            "WATCHWORD__SERVER__WORKERS": str(workers),
            # They are one for each request, as ever.
            "WATCHWORD__LOGS__REQUESTS": "false",
        }
        preloaded = {} if failing is None else failing.environment
        server = stack.enter_context(serving(folder, log_to=None, module="server", **environment, **preloaded))
        scene = Scene(workers, disk, failing, server, environment)
        scene.lines()
        yield scene
        assert server.stop() == 0
        scene.lines()
        verified = run(folder, "audit", "verify", **environment)
        assert verified.returncode == 0, verified
        with closing(sqlite3.connect(disk.store)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.xdist_group("a server with a disk of its own")
@pytest.mark.parametrize(("scene", "name"), CASES, indirect=["scene"])
async def test_tokens_are_checked_and_all_goes_on_when_the_disk_is_well_again(
    scenes: Scenes, scene: Scene, name: str
) -> None:
    fault, workers, pid = FAULTS[name], scene.workers, scene.server.process.pid
    async with StoreClients.of(scene.server.address, scene.server.admin_password()) as clients:
        await clients.begin()
        await clients.ask_for(SECONDS / 3)
        assert set(clients.answers["login"]) == {"200"}
        before = held_by(pid)
        with fault.make(scene):
            ready = asyncio.create_task(clients.until_ready(503, workers))
            await clients.ask_for(SECONDS)
            _require_right_answers(clients, fault)
            seconds, told = await ready
        assert told["code"] == "store_unavailable"
        assert told["reason"] in fault.reasons
        recovery = max(await clients.until_all_log_in(workers), (await clients.until_ready(200, workers))[0])
        slowest = clients.slowest
        await clients.ask_for(SECONDS / 3)
        assert {what: set(answers) - {"200", "201", "204"} for what, answers in clients.answers.items()} == {
            what: set() for what in clients.answers
        }
        assert await clients.lost() == []
        after = held_by(pid)
        _require_no_growth(before, after, workers)
        lines = await _lines_to_the_end(scene, clients)
        scenes.note(RECOVERY, recovery, name)
        scenes.note(CHECK, slowest["verify"], name)
        scenes.note(UNREADY, seconds, name)
        scenes.note(LINES, len(lines) / workers, name)
        assert len(lines) <= MOST_LINES * workers, lines


def _require_right_answers(clients: StoreClients, fault: Fault) -> None:
    """What needs no store is answered as before. What needs it is refused, with a code and with Retry-After."""
    answers = clients.answers
    assert {what: set(answers[what]) for what in ("verify", "jwks", "live")} == {
        "verify": {"204"},
        "jwks": {"200"},
        "live": {"200"},
    }
    refused = {"503 store_unavailable"}
    for what in ("login", "refresh", "create", "read"):
        found = set(answers[what])
        if what in fault.goes_on:
            assert found == {"200"}, what
        elif fault.some:
            assert found <= refused | {"200", "201", "503 overloaded"}, what
        else:
            # What had begun when the fault came may have succeeded, and there may have been some room left.
            assert refused <= found <= refused | {"200", "201"}, what
    assert clients.without_retry_after == Counter()
    # As docs/http.md says of a request that waits for the store.
    assert max(clients.slowest.values()) < 20


def _require_no_growth(before: Held, after: Held, workers: int) -> None:
    assert after.kilobytes - before.kilobytes < GROWN_KILOBYTES * workers
    # Connections of clients that are just being closed.
    assert after.descriptors - before.descriptors < 20
    # A thread that waits for a lock, and those that hash, in each process.
    assert after.threads - before.threads <= 3 * workers


async def _lines_to_the_end(scene: Scene, clients: StoreClients) -> list[dict[str, str]]:
    """All lines of this fault, up to those that say that it is over, one of each process."""
    lines: list[dict[str, str]] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while sum(line["event"] in OVER for line in lines) < scene.workers:
        await clients.until_all_log_in(scene.workers)
        lines += scene.lines()
        assert time.monotonic() < deadline, lines
    return lines


@pytest.mark.xdist_group("a server with a disk of its own")
@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
@pytest.mark.parametrize("scene", [2], indirect=True)
async def test_a_lock_of_a_moment_is_waited_for(scene: Scene) -> None:
    async with StoreClients.of(scene.server.address, scene.server.admin_password()) as clients:
        await clients.begin()
        asking = asyncio.create_task(clients.ask_for(3.0))
        for _ in range(2):
            with sqlite_lock(scene.disk.store):
                # As somebody at a command line holds it.
                await asyncio.sleep(0.7)
            await asyncio.sleep(0.5)
        await asking
        assert {what: set(answers) - {"200", "201", "204"} for what, answers in clients.answers.items()} == {
            what: set() for what in clients.answers
        }
        assert await clients.lost() == []
