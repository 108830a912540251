"""`users reset-password` and `users delete`, beside a running server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.server_process import DEADLINE_SECONDS, environment, run, serving
from tests.running import PASSWORD

NEW_PASSWORD = "another horse, another battery"


def make(folder: Path, username: str, role: str = "customer") -> str:
    """Its id."""
    made = run(folder, "users", "create", "--username", username, "--role", role, "--password-stdin", "--json",
               stdin=PASSWORD + "\n")  # fmt: skip
    assert made.returncode == 0, made.stderr
    user_id: str = json.loads(made.stdout)["user"]["id"]
    return user_id


def names(folder: Path) -> list[str]:
    return [user["username"] for user in json.loads(run(folder, "users", "list", "--json").stdout)["users"]]


def delete_on_a_terminal(folder: Path, answer: str, *options: str) -> subprocess.CompletedProcess[str]:
    terminal, its_end = pty.openpty()
    try:
        os.write(terminal, answer.encode())
        return subprocess.run(
            [sys.executable, "-m", "server", "users", "delete", "lak", *options],
            cwd=folder,
            env=environment(),
            stdin=its_end,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    finally:
        os.close(its_end)
        os.close(terminal)


def test_a_reset_token_of_the_command_sets_a_password_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        make(tmp_path, "Lak")
        token = server.log_in("lak", PASSWORD)["token"]
        printed = run(tmp_path, "users", "reset-password", "LAK")
        assert (printed.returncode, printed.stderr, printed.stdout.count("\n")) == (0, "", 1)
        as_json = json.loads(run(tmp_path, "users", "reset-password", "lak", "--json").stdout)
        assert (set(as_json), as_json["expires_in"]) == ({"reset_token", "expires_in"}, 86400)
        # Nothing has changed yet.
        assert server.call("GET", "/me", token=token)[0] == 200
        reset_token = printed.stdout.split()[-1]
        reset = {"reset_token": reset_token, "new_password": NEW_PASSWORD}
        assert server.call("POST", "/password/reset", reset)[0] == 204
        assert server.call("GET", "/me", token=token)[1]["code"] == "token_revoked"
        assert server.log_in("lak", NEW_PASSWORD)["token"]
        # All tokens that were made before are used up.
        for used in (reset_token, as_json["reset_token"]):
            status, body = server.call("POST", "/password/reset", {"reset_token": used, "new_password": PASSWORD})
            assert (status, body["code"]) == (400, "reset_invalid")
        listed = run(tmp_path, "audit", "list", "--event", "password_reset_requested", "--target", "lak", "--json")
        events = json.loads(listed.stdout)["events"]
        assert [event["via"] for event in events] == ["command line"] * 2
        assert "wwp_" not in listed.stdout


def test_a_deleted_user_is_gone_at_once_with_all_sessions(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        lak = make(tmp_path, "lak")
        make(tmp_path, "john")
        token = server.log_in("lak", PASSWORD)
        deleted = run(tmp_path, "users", "delete", "LAK")
        assert (deleted.returncode, deleted.stdout, deleted.stderr) == (
            0,
            "lak is deleted; all sessions are over\n",
            "",
        )
        status, body = server.call("POST", "/refresh", {"refresh_token": token["refresh_token"]})
        assert (status, body["code"]) == (401, "refresh_invalid")
        status, body = server.call("POST", "/login", {"username": "lak", "password": PASSWORD})
        assert (status, body["code"]) == (400, "invalid_credentials")
        assert names(tmp_path) == ["admin", "john"]
        (event,) = json.loads(run(tmp_path, "audit", "list", "--event", "user_deleted", "--json").stdout)["events"]
        assert (event["target_id"], event["via"]) == (lak, "command line")


@pytest.mark.parametrize("command", ["delete", "reset-password"])
def test_a_user_who_is_not_there_is_told(tmp_path: Path, command: str) -> None:
    run(tmp_path, "migrate")
    refused = run(tmp_path, "users", command, "nobody")
    assert (refused.returncode, refused.stderr) == (1, "not_found: There is no user 'nobody'.\n")
    assert run(tmp_path, "users", command).returncode == 2


def test_the_last_enabled_admin_is_not_deleted(tmp_path: Path) -> None:
    make(tmp_path, "one", "admin")
    make(tmp_path, "two", "admin")
    assert run(tmp_path, "users", "disable", "two").returncode == 0
    refused = run(tmp_path, "users", "delete", "one", "--yes")
    assert (refused.returncode, refused.stderr[:10]) == (1, "last_admin")
    # One who is disabled is none.
    assert run(tmp_path, "users", "delete", "two").returncode == 0
    assert names(tmp_path) == ["one"]


def test_on_a_terminal_it_is_asked_before_anybody_is_deleted(tmp_path: Path) -> None:
    lak = make(tmp_path, "lak")
    for answer in ("n\n", "\n", "\x04"):
        kept = delete_on_a_terminal(tmp_path, answer)
        assert kept.returncode == 1, answer
        # Not on standard output, which may go to a file.
        assert kept.stderr.startswith(f"Delete lak (customer), id {lak}? This can't be undone. [y/N]: ")
        assert "Traceback" not in kept.stderr
        assert kept.stdout == ""
    assert names(tmp_path) == ["lak"]
    assert delete_on_a_terminal(tmp_path, "y\n").stdout.endswith("lak is deleted; all sessions are over\n")
    assert names(tmp_path) == []


def test_yes_answers_the_question(tmp_path: Path) -> None:
    make(tmp_path, "lak")
    deleted = delete_on_a_terminal(tmp_path, "n\n", "--yes")
    assert (deleted.returncode, deleted.stdout) == (0, "lak is deleted; all sessions are over\n")
    assert names(tmp_path) == []
