"""Commands of root leave a store to the user whose server it is; who may not use a file is told whose it is."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from server.app import open_services
from server.database.open import apply_migrations, back_up
from server.database.sqlite.backup import key_beside
from server.database.sqlite.contents import beside
from server.files import ownership
from server.files.ownership import why_denied
from server.keys.master_key_file import master_key_file
from server.repositories import open_repositories
from server.services import Services
from server.settings.tree import KeySettings
from tests.other_user import ROOT, command, nobody, open_folder
from tests.process.server_process import uncovered
from tests.running import PASSWORD, settings_with

__all__ = ["open_folder"]


def owners(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_uid for file in (folder, *folder.rglob("*"))}


def give_to_nobody(folder: Path) -> None:
    for file in (folder, *folder.rglob("*")):
        os.chown(file, nobody().pw_uid, nobody().pw_gid)


@asynccontextmanager
async def command_of_root(url: str) -> AsyncIterator[Services]:
    async with open_services(settings_with(url, keys=KeySettings()), serving=False) as services:
        yield services


@contextmanager
def serving_as_nobody(url: str) -> Iterator[Callable[[str], str]]:
    """A server of another user; what is called logs somebody in there."""
    with subprocess.Popen(
        command("serve", url), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        requests, answers = server.stdin, server.stdout
        assert answers.readline() == "open\n"

        def log_in(username: str) -> str:
            requests.write(f"{username}\n")
            requests.flush()
            return answers.readline()

        yield log_in


async def test_a_server_of_another_user_goes_on_after_commands_of_root(open_folder: Path) -> None:
    path = open_folder / "data" / "watchword.db"
    url = f"sqlite:///{path}"
    # The folder, the database, its key and its locks are made by root: all of them for whom the place belongs to.
    await apply_migrations(url)
    async with command_of_root(url) as services:
        await services.users.create("lak", "Lak", "admin", PASSWORD)
    assert set(owners(open_folder).values()) == {nobody().pw_uid}, owners(open_folder)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.with_name("watchword.db.key").chmod(0o400)
    with serving_as_nobody(url) as log_in:
        assert log_in("lak") == "logged in\n"
        async with command_of_root(url) as services:
            await services.users.create("david", "David", "customer", PASSWORD)
            await services.keys.rotate(at_once=True)
            file = master_key_file(services.settings, services.ids)
            assert file is not None
            with file.changing():
                await services.keys.rewrap()
        assert log_in("david") == "logged in\n"
        key = path.with_name("watchword.db.key")
        await back_up(url, open_folder.parent / "copy.db", lambda *_: None, key.read_bytes())
        assert log_in("lak") == "logged in\n"
    assert set(owners(open_folder).values()) == {nobody().pw_uid}, owners(open_folder)
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    # Whoever has the store may have its copy.
    for made in (open_folder.parent / "copy.db", key_beside(open_folder.parent / "copy.db")):
        assert (made.stat().st_uid, stat.S_IMODE(made.stat().st_mode)) == (nobody().pw_uid, 0o600)
    with serving_as_nobody(url) as log_in:
        assert log_in("lak") == "logged in\n"


def modes(folder: Path) -> dict[str, int]:
    return {file.name.removeprefix("watchword.db"): stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_a_lock_may_be_opened_by_whoever_may_open_what_it_guards(path: Path, url: str) -> None:
    await apply_migrations(url)
    endings = ("", ".write-lock", ".write-lock.turn", ".serve-lock")
    assert modes(path.parent) == dict.fromkeys(endings, 0o600)
    await asyncio.to_thread(path.chmod, 0o660)
    for ending in endings[1:]:
        beside(path, ending).unlink()
    await (await open_repositories(url, serving=True)).close()
    assert modes(path.parent) == dict.fromkeys(endings, 0o660)


def take(path: Path, mode: int = 0o600) -> None:
    """As a file that root has made."""
    path.touch()
    os.chown(path, 0, 0)
    path.chmod(mode)


def link_to_passwords(path: Path) -> None:
    """Whoever follows an advice to chown this gives away another file."""
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/passwd")


# What was done to the store, and what its server's user is told: the file, whose it is, and what to do.
DENIED: dict[str, tuple[Callable[[Path], object], str]] = {
    "database": (take, r"watchword\.db can't .*belongs to root, mode 600; run as root: chown nobody \S+watchword\.db$"),
    "readable": (lambda path: take(path, 0o644), r"watchword\.db can't .*to root, mode 644; .*chown nobody"),
    "read only": (
        lambda path: path.chmod(0o400),
        r"watchword\.db can't .*to nobody, mode 400; run: chmod u\+rw \S+$",
    ),
    "log": (lambda path: take(beside(path, "-wal")), r"watchword\.db-wal can't .*to root, .*chown nobody \S+-wal$"),
    "shared memory": (lambda path: take(beside(path, "-shm")), r"watchword\.db-shm can't .*to root, .*chown nobody"),
    "lock": (
        lambda path: take(beside(path, ".write-lock")),
        r"\.write-lock can't .*to root, .*chown nobody",
    ),
    "lock that is a link": (
        lambda path: link_to_passwords(beside(path, ".serve-lock")),
        r"\.serve-lock can't .*to root, mode 644; it is a link: look where it leads$",
    ),
    "folder": (
        lambda path: path.parent.chmod(0o500),
        r"/data can't .*to nobody, mode 500; run: chmod u\+rwx \S+$",
    ),
    "folder without x": (lambda path: path.parent.chmod(0o600), r"/data can't .*mode 600; run: chmod u\+rwx"),
    "folder of root": (lambda path: take(path.parent, 0o755), r"/data can't .*to root, mode 755; let that user in"),
    "folder above": (lambda path: take(path.parent.parent), r"/store\d+ can't .*to root, mode 600; let that user in"),
}


def test_whoever_may_not_use_a_file_is_told_whose_it_is(open_folder: Path) -> None:
    whole = open_folder / "whole" / "data" / "watchword.db"
    asyncio.run(apply_migrations(f"sqlite:///{whole}"))
    paths = [open_folder / f"store{number}" / "data" / "watchword.db" for number in range(len(DENIED))]
    for path, (spoil, _) in zip(paths, DENIED.values(), strict=True):
        shutil.copytree(whole.parent, path.parent)
        # It is a copy, whose files are others.
        beside(path, ".write-lock").write_bytes(b"")
        give_to_nobody(path.parent.parent)
        spoil(path)
    urls = [f"sqlite:///{path}" for path in (whole, *paths)]
    env = uncovered(os.environ)
    done = subprocess.run(command("look", *urls), cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    first, *told = done.stdout.splitlines()
    assert (first, done.stderr) == ("opened", "")
    for (name, (_, expected)), line in zip(DENIED.items(), told, strict=True):
        assert re.search(f"^refused: .*{expected}", line), (name, line)


def test_a_user_without_a_name_gets_commands_with_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "its name"
    file.touch()
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    monkeypatch.setattr(ownership, "_may", lambda path, _: path != file)
    told = why_denied([file])
    assert told is not None
    assert "can't be used by user 4000000" in told
    assert told.endswith(f"run as root: chown 4000000 '{file}'")
