"""`keys …` beside a running server, on each store."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.process.server_process import DEADLINE_SECONDS, ServerProcess, environment, run, serving

MASTER_KEY = "vBq4Tn0J8mWf2Lx6Rk1YcZ7uHs5EpDa9"
ROTATIONS = 6


@pytest.fixture
def settings(store_url: str, tmp_path: Path) -> dict[str, str]:
    """For server and commands alike."""
    if store_url.startswith("sqlite"):
        return {"WATCHWORD__STORE__URL": f"sqlite:///{tmp_path}/data/watchword.db"}
    return {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}


def started(folder: Path, settings: dict[str, str]) -> AbstractContextManager[ServerProcess]:
    return serving(folder, log_to=None, module="server", **settings)


def keys(folder: Path, settings: dict[str, str]) -> list[dict[str, Any]]:
    listed = run(folder, "keys", "list", "--json", **settings)
    assert listed.returncode == 0, listed.stderr
    found: list[dict[str, Any]] = json.loads(listed.stdout)["keys"]
    return found


def of_state(listed: list[dict[str, Any]], state: str) -> list[str]:
    return [key["kid"] for key in listed if key["state"] == state]


def refused_within_a_second(server: ServerProcess, token: str) -> tuple[int, dict[str, Any]]:
    """The answer to a token that was just revoked; the first that is not a success."""
    deadline = time.monotonic() + 1
    while True:
        status, body = server.call("GET", "/me", token=token)
        if status != 200 or time.monotonic() > deadline:
            return status, body


def test_of_processes_that_rotate_at_the_same_moment_one_makes_a_key(tmp_path: Path, settings: dict[str, str]) -> None:
    with started(tmp_path, settings):
        before = {key["kid"] for key in keys(tmp_path, settings)}
        rotating = [
            subprocess.Popen(
                [sys.executable, "-m", "server", "keys", "rotate"],
                cwd=tmp_path,
                env=environment(**settings),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [process.communicate(timeout=DEADLINE_SECONDS) for process in rotating]
        after = keys(tmp_path, settings)
    assert len(before) == 2
    assert len({key["kid"] for key in after} - before) == 1
    for (out, err), process in zip(said, rotating, strict=True):
        if process.returncode == 0:
            assert "signs from" in out
        else:
            assert (process.returncode, "a rotation is under way" in err) == (1, True)
    assert any(process.returncode == 0 for process in rotating)


@dataclass
class Load:
    """Logs in and shows tokens, as fast as it can, until it is told to stop."""

    server: ServerProcess
    password: str
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def go(self) -> None:
        while not self.over.is_set():
            self.tokens.append(self.server.log_in("admin", self.password)["token"])
            for token in self.tokens[-20:]:
                self.answers.append(self.server.call("GET", "/me", token=token))


@contextmanager
def loaded(server: ServerProcess, clients: int) -> Iterator[list[Load]]:
    loads = [Load(server, server.admin_password()) for _ in range(clients)]
    threads = [threading.Thread(target=load.go) for load in loads]
    for thread in threads:
        thread.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.over.set()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)


def test_under_load_rotations_refuse_no_token_and_a_revoked_key_is_refused_within_a_second(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """With PostgreSQL two worker processes, which learn of each other's keys from the store alone."""
    workers = "1" if settings["WATCHWORD__STORE__URL"].startswith("sqlite") else "2"
    with started(tmp_path, settings | {"WATCHWORD__SERVER__WORKERS": workers}) as server:
        with loaded(server, clients=2) as loads:
            for _ in range(ROTATIONS):
                rotated = run(tmp_path, "keys", "rotate", "--now", **settings)
                assert (rotated.returncode, "signs now" in rotated.stdout) == (0, True), rotated.stderr
        answers = [answer for load in loads for answer in load.answers]
        assert {status for status, _ in answers} == {200}
        assert len(answers) > 20 * ROTATIONS
        listed = keys(tmp_path, settings)
        assert len(of_state(listed, "retired")) == ROTATIONS

        (active,), token = of_state(listed, "active"), server.log_in("admin", server.admin_password())["token"]
        assert server.call("GET", "/me", token=token)[0] == 200
        assert run(tmp_path, "keys", "revoke", active, **settings).returncode == 0
        status, body = refused_within_a_second(server, token)
        assert (status, body["code"]) == (401, "token_invalid")
        published = server.call("GET", "/.well-known/jwks.json")[1]["keys"]
        assert active not in [key["kid"] for key in published]
        new = server.log_in("admin", server.admin_password())["token"]
        assert server.call("GET", "/me", token=new)[0] == 200
        # An older token, of a key that is only retired, is as good as before.
        assert server.call("GET", "/me", token=loads[0].tokens[0])[0] == 200
        assert of_state(keys(tmp_path, settings), "revoked") == [active]
    with started(tmp_path, settings) as server:
        assert server.call("GET", "/me", token=token)[0] == 401
        assert server.call("GET", "/me", token=new)[0] == 200


def test_the_master_key_beside_the_file_is_changed_while_the_server_runs(tmp_path: Path) -> None:
    settings = {"WATCHWORD__STORE__URL": f"sqlite:///{tmp_path}/data/watchword.db"}
    key_file = tmp_path / "data" / "watchword.db.key"
    with started(tmp_path, settings) as server:
        old = key_file.read_text()
        tokens = server.log_in("admin", server.admin_password())
        rewrapped = run(tmp_path, "keys", "rewrap", **settings)
        assert (rewrapped.returncode, "new master key" in rewrapped.stdout) == (0, True), rewrapped.stderr
        assert key_file.read_text() != old
        assert key_file.stat().st_mode & 0o777 == 0o600
        assert run(tmp_path, "keys", "rotate", "--now", **settings).returncode == 0
        later = server.log_in("admin", server.admin_password())["token"]
        for token in (tokens["token"], later):
            assert server.call("GET", "/me", token=token)[0] == 200
    with started(tmp_path, settings) as server:
        for token in (tokens["token"], later):
            assert server.call("GET", "/me", token=token)[0] == 200
        assert server.call("POST", "/refresh", {"refresh_token": tokens["refresh_token"]})[0] == 200
    key_file.write_text(old)
    for arguments in ((), ("keys", "list")):
        refused = run(tmp_path, *arguments, **settings)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert refused.stderr.startswith("store: the master key does not fit this store")


def test_the_master_key_of_the_settings_is_changed_without_ending_anything(tmp_path: Path, postgres_url: str) -> None:
    old, new = MASTER_KEY, MASTER_KEY[::-1]
    store = {"WATCHWORD__STORE__URL": postgres_url}
    with started(tmp_path, store | {"WATCHWORD__KEYS__MASTER_KEY": old}) as server:
        tokens = server.log_in("admin", server.admin_password())
    both = json.dumps([new, old])
    with started(tmp_path, store | {"WATCHWORD__KEYS__MASTER_KEY": both}) as server:
        rewrapped = run(tmp_path, "keys", "rewrap", WATCHWORD__KEYS__MASTER_KEY=both, **store)
        assert (rewrapped.returncode, "can go from keys.master_key" in rewrapped.stdout) == (0, True), rewrapped.stderr
        assert server.call("GET", "/me", token=tokens["token"])[0] == 200
    with started(tmp_path, store | {"WATCHWORD__KEYS__MASTER_KEY": new}) as server:
        assert server.call("GET", "/me", token=tokens["token"])[0] == 200
        assert server.call("POST", "/refresh", {"refresh_token": tokens["refresh_token"]})[0] == 200
    refused = run(tmp_path, "keys", "list", WATCHWORD__KEYS__MASTER_KEY=old, **store)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


def test_a_secret_is_changed_by_a_list_and_another_algorithm_by_the_setting(tmp_path: Path) -> None:
    old, new = MASTER_KEY, MASTER_KEY[::-1]
    tokens: list[str] = []

    def step(**changes: str) -> None:
        with started(tmp_path, changes) as server:
            for token in tokens:
                assert server.call("GET", "/verify", token=token)[0] == 204
            tokens.append(server.log_in("lak", "brown otters juggle turnips")["token"])

    created = run(
        tmp_path,
        *("users", "create", "--username", "lak", "--role", "customer", "--password-stdin"),
        stdin="brown otters juggle turnips\n",
    )
    assert created.returncode == 0, created.stderr
    step()
    step(WATCHWORD__TOKENS__ALGORITHM="HS256", WATCHWORD__TOKENS__SECRET=old)
    (tmp_path / "secrets").write_text(f"{new}\n{old}\n")
    step(WATCHWORD__TOKENS__ALGORITHM="HS256", WATCHWORD__TOKENS__SECRET_FILE=str(tmp_path / "secrets"))
    step(WATCHWORD__TOKENS__ALGORITHM="EdDSA", WATCHWORD__TOKENS__SECRET=json.dumps([new, old]))
    assert [json.loads(_header(token))["alg"] for token in tokens] == ["ES256", "HS256", "HS256", "EdDSA"]


def _header(token: str) -> bytes:
    text = token.partition(".")[0]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_mistakes_are_a_line_each(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    assert run(tmp_path, "keys", "list", "--json").stdout == '{\n  "keys": []\n}\n'
    unknown = run(tmp_path, "keys", "revoke", "nobody's")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("not_found: There is no key")
    shared = {"WATCHWORD__TOKENS__ALGORITHM": "HS256", "WATCHWORD__TOKENS__SECRET": MASTER_KEY}
    with started(tmp_path, shared):
        (secret,) = keys(tmp_path, shared)
        assert (secret["algorithm"], secret["state"]) == ("HS256", "active")
        for arguments in (("rotate",), ("revoke", secret["kid"])):
            refused = run(tmp_path, "keys", *arguments, **shared)
            assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
            assert "tokens.secret" in refused.stderr
            assert MASTER_KEY not in refused.stderr
