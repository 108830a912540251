"""A process of another user: `python -m tests.other_user look|serve URL …`, started by root, becomes `nobody`."""

from __future__ import annotations

import asyncio
import codecs
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from server.app import open_services
from server.core.errors import StoreRefused, WatchwordError
from server.repositories import open_repositories
from server.settings.tree import KeySettings
from tests.needed import require
from tests.running import PASSWORD, log_in, settings_with

ROOT = Path(__file__).parents[1]


def command(action: str, *urls: str) -> list[str]:
    """The command line; run it in ROOT."""
    return [sys.executable, "-m", "tests.other_user", action, *urls]


def nobody() -> pwd.struct_passwd:
    """Who the other user is."""
    return pwd.getpwnam("nobody")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of `nobody`, which the test's own are not open to. Needs root."""
    require({"root, to be two users": os.geteuid() == 0})
    with tempfile.TemporaryDirectory(prefix="watchword-other-user-") as name:
        folder = Path(name) / "srv"
        folder.mkdir()
        Path(name).chmod(0o755)
        os.chown(folder, nobody().pw_uid, nobody().pw_gid)
        yield folder


async def _look(urls: list[str]) -> None:
    """Tell of each store whether a server could open it."""
    for url in urls:
        try:
            await (await open_repositories(url, serving=True)).close()
        except StoreRefused as refused:
            print(f"refused: {refused}", flush=True)
        else:
            print("opened", flush=True)


async def _serve(url: str) -> None:
    """A server: for each line that comes it logs somebody in and looks after its keys."""
    async with open_services(settings_with(url, keys=KeySettings()), serving=True) as services:
        print("open", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                await log_in(services, line.strip(), PASSWORD)
                await services.keys.maintain(steady=True)
                await services.keys.rotate(at_once=True)
            except WatchwordError as error:
                print(f"failed: {error!r} {error}", flush=True)
            else:
                print("logged in", flush=True)


if __name__ == "__main__":
    # What Python imports later may lie where that user can't read.
    codecs.lookup("ascii")
    files("server").joinpath("__init__.py").read_bytes()
    os.setgroups([])
    os.setgid(nobody().pw_gid)
    os.setuid(nobody().pw_uid)
    asyncio.run(_look(sys.argv[2:]) if sys.argv[1] == "look" else _serve(sys.argv[2]))
