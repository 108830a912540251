"""The workers of one server on one SQLite file: they have the lock of their parent, and open everything else anew."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from server.database.migration_files import Migration
from server.database.sqlite import serving
from server.database.sqlite.contents import beside
from server.database.sqlite.file import inspect
from server.repositories import Repositories, open_repositories
from tests.records import add_user, new_user, usernames

REPLACED = "moved or replaced while the server ran; restart the server"


class Server:
    """The parent's part: it has had the store prepared, and holds the descriptor of the lock."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self.descriptors: list[int] = []

    async def prepare(self) -> None:
        store = await open_repositories(self._url, serving=True)
        self.descriptors = [os.dup(held) for held in store.driver.held_descriptors()]
        await store.close()

    async def worker(self) -> Repositories:
        opened = await open_repositories(self._url, serving=True, inherited=self.descriptors)
        self._stack.push_async_callback(opened.close)
        return opened

    def end(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    async with AsyncExitStack() as stack:
        made = Server(url, stack)
        stack.callback(made.end)
        await made.prepare()
        yield made


async def test_workers_write_in_turn_and_read_what_the_others_wrote(server: Server) -> None:
    workers = [await server.worker() for _ in range(4)]
    for number in range(40):
        await add_user(workers[number % 4], new_user(number))
    found = [await usernames(worker) for worker in workers]
    assert found == 4 * [{f"user{number}" for number in range(40)}]


async def test_no_other_server_gets_the_file_while_parent_or_worker_live(server: Server, url: str) -> None:
    """Not between preparation and the first worker either, nor when a worker has closed what it opened."""
    with pytest.raises(StoreRefused, match="already served"):
        await open_repositories(url, serving=True)
    worker = await server.worker()
    await worker.close()
    with pytest.raises(StoreRefused, match="already served"):
        await open_repositories(url, serving=True)
    server.end()
    await (await open_repositories(url, serving=True)).close()


async def test_a_worker_looks_at_the_file_and_reads_not_all_of_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second per gigabyte at each start of a worker would be a pause for all of them."""
    looks = []

    def look(path: Path, *, thorough: bool) -> list[Migration]:
        looks.append(thorough)
        return inspect(path, thorough=thorough)

    monkeypatch.setattr(serving, "inspect", look)
    await server.worker()
    assert looks == [False]


@pytest.mark.parametrize("ending", ["", ".serve-lock"])
async def test_a_worker_refuses_a_file_that_is_not_the_prepared_one(
    server: Server, path: Path, tmp_path: Path, ending: str
) -> None:
    """A worker that takes the place of another one, hours later."""
    other = tmp_path / "other" / "watchword.db"
    await (await open_repositories(f"sqlite:///{other}", serving=True)).close()
    beside(other, ending).replace(beside(path, ending))
    with pytest.raises(StoreRefused, match=REPLACED):
        await server.worker()


def test_a_worker_makes_no_store(path: Path) -> None:
    url = f"sqlite:///{path}"

    async def prepared() -> list[int]:
        async with AsyncExitStack() as stack:
            server = Server(url, stack)
            await server.prepare()
            return server.descriptors

    held = asyncio.run(prepared())
    for file in path.parent.iterdir():
        file.unlink()
        with pytest.raises(StoreRefused):
            asyncio.run(open_repositories(url, serving=True, inherited=held))
        assert not file.exists() or file.name.startswith("watchword.db.write-lock")
    shutil.rmtree(path.parent)
    with pytest.raises(StoreRefused):
        asyncio.run(open_repositories(url, serving=True, inherited=held))
    assert not path.parent.exists()
    for descriptor in held:
        os.close(descriptor)
