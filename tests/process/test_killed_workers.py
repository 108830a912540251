"""kill -9 of workers and of their parent while clients write: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests import in_process
from tests.listening import free_port
from tests.process.clients import until
from tests.process.server_process import ServerProcess, serving
from tests.process.test_workers import ADDRESS, settings, workers_of
from tests.process.write_load import SETTINGS, Writers
from tests.volume import IS_FULL

ROUNDS = 50 if IS_FULL else 3
WORKERS = 2
WRITERS = 4


@pytest.fixture
def same(store_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of each server of a test, which are all at one address."""
    return (
        SETTINGS
        | settings(store_url, WORKERS)
        | {ADDRESS: str(free_port()), "WATCHWORD__MAIL__URL": f"file://{tmp_path}/mails"}
    )


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def require_whole(folder: Path, same: dict[str, str]) -> None:
    """The file and the audit log, after the server has ended."""
    url = same["WATCHWORD__STORE__URL"]
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    verified = in_process.run(folder, "audit", "verify", **same)
    assert verified.returncode == 0, verified.stderr


def clients_of(server: ServerProcess) -> Writers:
    return Writers(server.address, server.log_in("admin", server.admin_password())["token"])


def test_kill_9_of_workers_loses_nothing(tmp_path: Path, same: dict[str, str]) -> None:
    chance = random.Random(1)

    async def play(server: ServerProcess) -> list[float]:
        clients, back = clients_of(server), []
        async with clients.opened(), clients.writing(WRITERS):
            await clients.some_answers()
            for _ in range(ROUNDS):
                killed = chance.choice(workers_of(server))
                begun = time.monotonic()
                os.kill(killed, signal.SIGKILL)
                back.append(await clients.back_after(begun))
                await until(lambda: len(workers_of(server)) == WORKERS and killed not in workers_of(server))  # noqa: B023
                await clients.some_answers(chance.randrange(1, 40))
        async with clients.opened():
            await clients.require_nothing_lost()
        return back

    with serving(tmp_path, log_to=None, module="server", **same) as server:
        back = asyncio.run(play(server))
        assert server.stop() == 0
        assert server.log().count("a worker died") == ROUNDS, server.log()
    print(f"{ROUNDS} rounds, a write was acknowledged again after {max(back):.2f} s at most")
    require_whole(tmp_path, same)


def test_kill_9_of_the_parent_loses_nothing_and_leaves_no_orphan(
    tmp_path: Path, same: dict[str, str], stack: ExitStack
) -> None:
    chance = random.Random(1)

    def start() -> ServerProcess:
        return stack.enter_context(serving(tmp_path, log_to=None, module="server", **same))

    async def play(server: ServerProcess) -> list[float]:
        clients, back = clients_of(server), []
        async with clients.opened(), clients.writing(WRITERS):
            for _ in range(ROUNDS):
                await clients.some_answers(chance.randrange(1, 60))
                ends = [os.pidfd_open(pid) for pid in workers_of(server)]
                server.process.kill()
                begun = time.monotonic()
                # As a supervisor does it, which waits for nothing else.
                server = await asyncio.to_thread(start)
                back.append(await clients.back_after(begun))
                for end in ends:
                    assert select.select([end], [], [], 0)[0], "a worker is left"
                    os.close(end)
        async with clients.opened():
            await clients.require_nothing_lost()
        assert server.stop() == 0
        return back

    back = asyncio.run(play(start()))
    print(f"{ROUNDS} rounds, a write was acknowledged again after {max(back):.2f} s at most")
    require_whole(tmp_path, same)
