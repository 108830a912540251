"""The steps of docs/operations.md after a break-in, and a restore that lacks its master key."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from server.app import open_services
from server.settings import Settings
from server.settings.tree import StoreSettings
from server.users.reset_token import ResetToken, ResetTokens
from tests.calling import DEADLINE_SECONDS, PAUSE_SECONDS
from tests.environment import ROOT
from tests.in_process import LocalServer, run, serving
from tests.process.server_process import run as run_process
from tests.running import PASSWORD

NEW_PASSWORD = "another horse, another battery"


def documented_lines() -> list[list[str]]:
    """The commands of the section, without the interpreter."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (section,) = re.findall(r"^## After a break-in$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```console$(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line.removeprefix("$ ")) for line in block.strip().splitlines()]
    assert all(line[:3] == ["python", "-m", "server"] for line in lines)
    return [line[3:] for line in lines]


def restore(backup: Path, folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    shutil.copy2(backup, folder / "data" / "watchword.db")
    shutil.copy2(f"{backup}.key", folder / "data" / "watchword.db.key")
    return folder


def wait_until_refused(code: str, server: LocalServer, method: str, path: str, **call: Any) -> None:
    """Until the server has read the new keys; before that it may know that the session is over."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (answer := server.call(method, path, **call))[1].get("code") != code:
        assert time.monotonic() < deadline, answer
        time.sleep(PAUSE_SECONDS)


async def forged_reset_token(copy: Path, username: str) -> str:
    """As somebody makes it who has read store and master key."""
    settings = Settings(store=StoreSettings(url=f"sqlite:///{copy}/data/watchword.db"))
    async with open_services(settings, serving=False) as services:
        credentials = await services.users.credentials_of(username)
        tokens = ResetTokens(services.keys.current.token_key("password reset token"))
        expires_at = services.clock.now_ms() + 60_000
        return tokens.issue(ResetToken(credentials.user.id, expires_at, credentials.password_changed_at))


@pytest.mark.parametrize("running", [True, False])
async def test_after_the_documented_steps_nothing_of_a_copy_is_worth_anything_and_the_log_is_whole(
    tmp_path: Path, *, running: bool
) -> None:
    assert documented_lines()
    made = run(tmp_path, "users", "create", "--username", "lak", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    assert made.returncode == 0, made.stderr
    with serving(tmp_path) as server:
        own = server.log_in("lak", PASSWORD)
        reset = run(tmp_path, "users", "reset-password", "lak").stdout.split()[-1]
        assert run(tmp_path, "store", "backup", "copy.db").returncode == 0
    copy = restore(tmp_path / "copy.db", tmp_path / "theirs")
    # The next key was in the copy too, and signs in it.
    assert run(copy, "keys", "rotate", "--now").returncode == 0
    with serving(copy) as theirs:
        signed_elsewhere = theirs.log_in("lak", PASSWORD)["token"]
    forged = await forged_reset_token(copy, "lak")

    folder = restore(tmp_path / "copy.db", tmp_path / "restored")
    with serving(folder) as server:
        for token in (own["token"], signed_elsewhere):
            assert server.call("GET", "/me", token=token)[0] == 200
        if not running:
            server.stop()
        for line in documented_lines():
            done = run(folder, *line)
            assert (done.returncode, done.stderr) == (0, "")
        if running:
            all_is_refused(server, own, (signed_elsewhere,), (reset, forged))
    with serving(folder) as server:
        all_is_refused(server, own, (signed_elsewhere,), (reset, forged))
        tokens = server.log_in("lak", PASSWORD)
        status, body = server.call("GET", "/me/sessions", token=tokens["token"])
        assert (status, len(body["sessions"])) == (200, 1)
        assert server.call("POST", "/refresh", {"refresh_token": tokens["refresh_token"]})[0] == 200
        published = server.call("GET", "/.well-known/jwks.json")[1]["keys"]
        for before in (own["token"], signed_elsewhere):
            assert run(folder, "token", "verify", before).returncode == 1
    assert len(published) == 2
    assert run(folder, "audit", "verify").returncode == 0


def all_is_refused(server: LocalServer, own: dict[str, Any], access: tuple[str, ...], reset: tuple[str, ...]) -> None:
    for token in (own["token"], *access):
        wait_until_refused("token_invalid", server, "GET", "/me", token=token)
    wait_until_refused("refresh_invalid", server, "POST", "/refresh", body={"refresh_token": own["refresh_token"]})
    for token in reset:
        body = {"reset_token": token, "new_password": NEW_PASSWORD}
        wait_until_refused("reset_invalid", server, "POST", "/password/reset", body=body)


def test_with_hs256_the_secret_is_said_to_be_left(tmp_path: Path) -> None:
    settings = {
        "WATCHWORD__TOKENS__ALGORITHM": "HS256",
        "WATCHWORD__TOKENS__SECRET": "vBq4Tn0J8mWf2Lx6Rk1YcZ7uHs5EpDa9",
    }
    with serving(tmp_path, **settings):
        replaced = run(tmp_path, "keys", "replace", **settings)
    assert (replaced.returncode, "tokens.secret" in replaced.stdout) == (0, True), replaced.stderr


@pytest.mark.parametrize("arguments", [(), ("users", "list"), ("keys", "rewrap")])
def test_a_store_whose_master_key_is_missing_says_so_and_gets_no_other(tmp_path: Path, arguments: tuple[str]) -> None:
    assert run(tmp_path, "users", "create", "--username", "lak", "--role", "admin").returncode == 0
    assert run(tmp_path, "store", "backup", "copy.db", "--without-key").returncode == 0
    folder = tmp_path / "restored"
    (folder / "data").mkdir(parents=True)
    shutil.copy2(tmp_path / "copy.db", folder / "data" / "watchword.db")
    # Without a command it serves.
    done = run(folder, *arguments) if arguments else run_process(folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"store: {folder}/data/watchword.db.key is missing")
    assert not list(folder.glob("data/*.key"))
    shutil.copy2(tmp_path / "data" / "watchword.db.key", folder / "data" / "watchword.db.key")
    assert run(folder, "users", "list").returncode == 0
