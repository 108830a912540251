"""A store whose files are damaged, at a start and while a server has them open."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.app import open_services
from server.core.errors import StoreRefused, WatchwordError
from server.database.sqlite.contents import beside
from server.services import Services
from server.users.model import UserFilter
from tests.faults.disks import FailingCalls, flip
from tests.faults.store_clients import StoreClients
from tests.figures import Figures
from tests.in_process import run as run_here
from tests.locks import write_lock
from tests.process.server_process import ServerProcess, serving
from tests.running import PASSWORD, log_in, settings_with
from tests.volume import IS_FULL

SEEDS = 12 if IS_FULL else 1
PAGE = 4096
FRAME = 24 + PAGE
RECOVERY_SECONDS = 5.0
Spoil = Callable[[bytearray, random.Random], None]


def random_bytes(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 3, 20])):
        at, length = chance.randrange(len(content)), chance.choice([1, 4, 100, PAGE])
        content[at : at + length] = chance.randbytes(min(length, len(content) - at))


def a_page_of_zeros(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content) // PAGE) * PAGE
    content[at : at + PAGE] = bytes(PAGE)


def a_byte_of_the_header(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(100)] ^= chance.randrange(1, 256)


def cut_off(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def two_pages_exchanged(content: bytearray, chance: random.Random) -> None:
    one, other = (chance.randrange(1, len(content) // PAGE) * PAGE for _ in range(2))
    content[one : one + PAGE], content[other : other + PAGE] = (
        content[other : other + PAGE],
        content[one : one + PAGE],
    )


SPOILT: dict[str, tuple[str, Spoil]] = {
    "random bytes": ("", random_bytes),
    "a page of zeros": ("", a_page_of_zeros),
    "a byte of the header": ("", a_byte_of_the_header),
    "cut off": ("", cut_off),
    "two pages exchanged": ("", two_pages_exchanged),
    "random bytes in the log": ("-wal", random_bytes),
    "the log cut off": ("-wal", cut_off),
    "random bytes in the index of the log": ("-shm", random_bytes),
}


async def make_users(services: Services) -> None:
    await services.users.create_first("sahan", "Sahan", "admin", PASSWORD)
    for number in range(30):
        await services.users.create(f"user{number}", "A user", "customer", PASSWORD)


@pytest.fixture(scope="module")
def as_after_a_crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `kill -9` leaves it, with some writes in its database and some in its log."""
    folder = tmp_path_factory.mktemp("crashed") / "store"
    folder.mkdir(mode=0o700)

    async def make() -> None:
        async with open_services(settings_with(f"sqlite:///{folder}/watchword.db"), serving=True) as services:
            await make_users(services)
            for _ in range(10):
                await log_in(services, "sahan")
            shutil.copytree(folder, folder.with_name("left"))

    asyncio.run(make())
    return folder.with_name("left")


@pytest.mark.parametrize("how", SPOILT)
async def test_a_spoilt_store_is_refused_in_a_line_or_served_without_a_defect(
    as_after_a_crash: Path, tmp_path: Path, how: str
) -> None:
    ending, spoil = SPOILT[how]
    for seed in range(SEEDS):
        folder = tmp_path / f"seed{seed}"
        shutil.copytree(as_after_a_crash, folder)
        file = folder / f"watchword.db{ending}"
        content = bytearray(file.read_bytes())
        spoil(content, random.Random(f"{how} {seed}"))
        file.write_bytes(content)
        with one_line_at_most(StoreRefused):
            async with open_services(settings_with(f"sqlite:///{folder}/watchword.db"), serving=True) as services:
                await _use(services)
        shutil.rmtree(folder)


async def _use(services: Services) -> None:
    """All kinds of work. What can't be done is refused; a defect fails the test."""
    for number in range(0, 30, 10):
        await _tried(log_in(services, f"user{number}"))
    await _tried(services.users.create("another", "Another", "customer", PASSWORD))
    await _tried(services.users.list(UserFilter(10, text="user1")))
    await _tried(services.audit.verify())
    await _tried(services.readiness.check())


async def _tried(work: Awaitable[object]) -> None:
    with one_line_at_most(WatchwordError):
        await work


@contextmanager
def one_line_at_most(refusal: type[WatchwordError]) -> Iterator[None]:
    """It may be refused in so many words."""
    said = ""
    try:
        yield
    except refusal as refused:
        said = str(refused)
    assert "\n" not in said


def _frames_of_this_round(log: Path) -> int:
    """The frames with the salts of the header. Older ones follow."""
    content = log.read_bytes()
    count = 0
    while content[32 + count * FRAME + 8 : 32 + count * FRAME + 16] == content[16:24]:
        count += 1
    return count


async def test_a_log_is_refused_if_what_was_acknowledged_would_be_lost_with_it(
    as_after_a_crash: Path, tmp_path: Path
) -> None:
    """SQLite ends at the first frame that is wrong, and says nothing of all those behind it."""
    frames = _frames_of_this_round(as_after_a_crash / "watchword.db-wal")
    assert frames > 10
    places = {"header": 17, "frame": 32 + 5, "page": 32 + (frames // 4) * FRAME + 2000}
    for name, at in places.items():
        folder = tmp_path / name
        shutil.copytree(as_after_a_crash, folder)
        flip(folder / "watchword.db-wal", at)
        before = {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}
        with pytest.raises(StoreRefused, match=r"watchword\.db-wal is damaged .*what was written last can't be read"):
            async with open_services(settings_with(f"sqlite:///{folder}/watchword.db"), serving=True):
                pytest.fail("it opened")
        assert before == {
            file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")
        }, "a look changes nothing"


async def test_a_log_whose_end_a_crash_has_left_incomplete_is_taken(as_after_a_crash: Path, tmp_path: Path) -> None:
    frames = _frames_of_this_round(as_after_a_crash / "watchword.db-wal")
    for name, at in {"cut": None, "last page": 32 + frames * FRAME - 100}.items():
        folder = tmp_path / name
        shutil.copytree(as_after_a_crash, folder)
        log = folder / "watchword.db-wal"
        if at is None:
            os.truncate(log, 32 + (frames - 2) * FRAME + 500)
        else:
            flip(log, at)
        async with open_services(settings_with(f"sqlite:///{folder}/watchword.db"), serving=True) as services:
            await log_in(services, "user3")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[ServerProcess, StoreClients, Path]]:
    store = tmp_path / "disk" / "watchword.db"
    with serving(tmp_path, log_to=None, module="server", **_settings(store)) as server:
        async with StoreClients.of(server.address, server.admin_password()) as clients:
            await clients.begin()
            yield server, clients, store


def _settings(store: Path, workers: int = 2 if IS_FULL else 1) -> dict[str, str]:
    return {
        "WATCHWORD__STORE__URL": f"sqlite:///{store}",
        "WATCHWORD__LOGS__REQUESTS": "false",
        "WATCHWORD__SERVER__WORKERS": str(workers),
    }


def _events(server: ServerProcess) -> list[str]:
    text = server.log()
    assert "Traceback" not in text, text
    return [json.loads(line)["event"] for line in text.splitlines()]


async def test_a_file_that_is_damaged_while_it_is_used_is_noticed_and_used_again_once_it_is_whole(
    served: tuple[ServerProcess, StoreClients, Path], tmp_path: Path, figures: Figures
) -> None:
    server, clients, store = served
    workers = 2 if IS_FULL else 1
    with write_lock(store):
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = store.read_bytes()
        with store.open("r+b") as file:
            file.seek(PAGE)
            file.write(random.Random(2).randbytes(len(content) - PAGE))
    noticing = asyncio.create_task(clients.until_ready(503, workers))
    await clients.ask_for(2.0 if IS_FULL else 0.7)
    seconds, told = await noticing
    assert {what: set(clients.answers[what]) for what in ("verify", "jwks", "live")} == {
        "verify": {"204"},
        "jwks": {"200"},
        "live": {"200"},
    }
    _, told = await clients.until_ready(503, workers)
    assert told["reason"] == "store_damaged"
    with write_lock(store), store.open("r+b") as file:
        file.write(content)
    recovery = await clients.until_all_log_in(workers)
    assert (await clients.until_ready(200, workers))[0] < RECOVERY_SECONDS
    assert await clients.lost() == []
    assert server.stop() == 0
    events = _events(server)
    assert events.count("the store is damaged") == events.count("the store is whole again") == workers
    assert len(events) <= 14 * workers, events
    verified = run_here(tmp_path, "audit", "verify", **_settings(store))
    assert verified.returncode == 0, verified
    figures.at_most("store, damaged: seconds until not ready", seconds, 1.0 + workers, "s")
    figures.at_most("store, damaged: seconds until it is well again", recovery, RECOVERY_SECONDS, "s")


@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_what_belongs_to_the_store_and_is_deleted_costs_a_restart_and_nothing_else(
    served: tuple[ServerProcess, StoreClients, Path], tmp_path: Path, ending: str
) -> None:
    server, clients, store = served
    await clients.ask_for(0.3)
    beside(store, ending).unlink()
    await clients.until_ready(503, 2)
    await clients.ask_for(0.5)
    assert set(clients.answers["verify"]) == {"204"}
    assert set(clients.answers["refresh"]) == {"503 store_unavailable"}
    assert server.stop() == 0
    assert _events(server).count("a file of the store is gone") == 2
    with serving(tmp_path, log_to=None, module="server", **_settings(store)) as again:
        clients.move_to(again.address)
        assert await clients.lost() == []
        assert again.stop() == 0
    assert run_here(tmp_path, "audit", "verify", **_settings(store)).returncode == 0


@pytest.mark.skipif(not IS_FULL, reason="takes some seconds: make faults")
@pytest.mark.parametrize("what", ["sync", "every write 5"])
async def test_a_kill_after_failed_commits_loses_nothing_and_leaves_a_store_that_starts(
    tmp_path: Path, what: str
) -> None:
    """What failed commits have left in the log must not be taken for damage."""
    store = tmp_path / "disk" / "watchword.db"
    failing = FailingCalls(tmp_path, "/disk/watchword.db")
    with serving(tmp_path, log_to=None, module="server", **_settings(store), **failing.environment) as server:
        async with StoreClients.of(server.address, server.admin_password()) as clients:
            await clients.begin()
            for _ in range(3):
                with failing.failing(what):
                    await clients.ask_for(0.3)
                await clients.ask_for(0.2)
            with failing.failing(what):
                await clients.ask_for(0.5)
                server.stop(signal.SIGKILL)
            with serving(tmp_path, log_to=None, module="server", **_settings(store)) as again:
                clients.move_to(again.address)
                assert await clients.lost() == []
                assert again.stop() == 0
    assert run_here(tmp_path, "audit", "verify", **_settings(store)).returncode == 0
