"""`keys …` beside a running server, on each store."""

from __future__ import annotations

import base64
import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from tests.in_process import LocalServer, run, serving
from tests.keys.load import keys, rotate_and_revoke_under_load

MASTER_KEY = "vBq4Tn0J8mWf2Lx6Rk1YcZ7uHs5EpDa9"
ROTATIONS = 6


@pytest.fixture
def settings(store_url: str, tmp_path: Path) -> dict[str, str]:
    """For server and commands alike."""
    if store_url.startswith("sqlite"):
        return {"WATCHWORD__STORE__URL": f"sqlite:///{tmp_path}/data/watchword.db"}
    return {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}


def started(folder: Path, settings: dict[str, str]) -> AbstractContextManager[LocalServer]:
    return serving(folder, **settings)


def test_under_load_rotations_refuse_no_token_and_a_revoked_key_is_refused(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with started(tmp_path, settings) as server:
        token, new = rotate_and_revoke_under_load(server, server.admin_password(), tmp_path, settings)
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
    refused = run(tmp_path, "keys", "list", **settings)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("store: the master key does not fit this store")
    with pytest.raises(StoreRefused, match="the master key does not fit this store"), started(tmp_path, settings):
        pass


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
