"""`users show`: what an operator asks about an account, and no hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.passwords.foreign import description
from tests.foreign_hashes import CHEAP
from tests.in_process import run, serving
from tests.running import PASSWORD
from tests.users.test_commands import make


def shown(folder: Path, user: str) -> dict[str, Any]:
    printed = run(folder, "users", "show", user, "--json")
    assert (printed.returncode, printed.stderr) == (0, "")
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


def lines(folder: Path, user: str) -> dict[str, str]:
    printed = run(folder, "users", "show", user)
    assert (printed.returncode, printed.stderr) == (0, "")
    parts = [line.split("  ", 1) for line in printed.stdout.splitlines()]
    return {name: value.strip() for name, value in parts}


def test_an_account_with_sessions_and_wrong_passwords(tmp_path: Path) -> None:
    with serving(tmp_path, WATCHWORD__LIMITS__ACCOUNT_GUESSES="10") as server:
        user_id = make(tmp_path, "Lak")
        assert lines(tmp_path, "lak")["last login"] == "never"
        for _ in range(2):
            tokens = server.log_in("lak", PASSWORD)
        wrong = {"username": "lak", "password": "not the password of lak"}
        for _ in range(7):
            assert server.call("POST", "/login", wrong)[0] == 400
        changes = {"WATCHWORD__LIMITS__ACCOUNT_GUESSES": "10"}
        found = json.loads(run(tmp_path, "users", "show", user_id.upper(), "--json", **changes).stdout)
        user, newest = found["user"], found["sessions"]["newest"]
        assert (user["id"], user["username"], user["disabled"], user["disabled_at"]) == (user_id, "Lak", False, None)
        assert found["password"] == {"hash": "bcrypt-sha256 cost=4", "changed_at": user["created_at"]}
        assert (found["sessions"]["count"], newest["ip"]) == (2, "127.0.0.1")
        status, listed = server.call("GET", "/me/sessions", token=tokens["token"])
        assert (status, newest["id"]) == (200, listed["sessions"][0]["id"])
        assert found["wrong_passwords"] == [
            {"by": "unknown devices", "count": 7, "limit": 7, "locked": True, "retry_at": None},
            {"by": "known devices", "count": 0, "limit": 2, "locked": False, "retry_at": None},
            {"by": "logged in users", "count": 0, "limit": 1, "locked": False, "retry_at": None},
        ]
        told = run(tmp_path, "users", "show", "LAK", **changes).stdout
        assert "wrong, unknown devices  7 of 7; locked until a new password: users set-password" in told
        assert run(tmp_path, "users", "disable", "lak").returncode == 0
        after = lines(tmp_path, "lak")
        assert after["state"].startswith("disabled since 20")
        assert (after["sessions"], "newest session" in after) == ("0", False)


def test_an_account_without_a_password_and_one_that_is_not_there(tmp_path: Path) -> None:
    assert run(tmp_path, "users", "create", "--username", "john", "--role", "customer").returncode == 0
    assert (shown(tmp_path, "john")["password"], lines(tmp_path, "john")["password"]) == (
        None, "none: users reset-password",
    )  # fmt: skip
    for nobody in ("nobody", "", "01a21887-4084-7426-9b4e-7ee0a6452ac3", "-h-"):
        refused = run(tmp_path, "users", "show", nobody)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1), nobody


def test_a_name_in_the_form_of_an_id_is_found_too(tmp_path: Path) -> None:
    name = "01a21887-4084-7426-9b4e-7ee0a6452ac3"
    assert run(tmp_path, "users", "create", "--username", name, "--role", "customer").returncode == 0
    assert shown(tmp_path, name)["user"]["username"] == name


@pytest.mark.parametrize("kind", CHEAP)
def test_the_kind_of_a_hash_is_told_and_nothing_of_the_hash(kind: str) -> None:
    password_hash = CHEAP[kind]
    told = description(password_hash)
    assert told not in {"", "unknown or damaged"}
    assert "=" in told
    parts = [part for part in password_hash.replace(",", "$").split("$") if len(part) > 15]
    assert parts
    assert not any(part in told for part in parts)
    assert description("x" + password_hash) == "unknown or damaged"
