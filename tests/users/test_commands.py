"""`users …`, beside a running server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.in_process import run, run_into, serving
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
        with os.fdopen(its_end, encoding="utf-8") as keyboard:
            return run(folder, "users", "delete", "lak", *options, stdin=keyboard)
    finally:
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


def test_users_are_made_and_listed_while_the_server_runs(tmp_path: Path) -> None:
    password = "brown otters juggle turnips"
    with serving(tmp_path) as server:
        made = run(tmp_path, "users", "create", "--username", "lak", "--role", "customer", "--password-stdin",
                   stdin=password + "\n")  # fmt: skip
        assert (made.returncode, made.stderr) == (0, "")
        token = server.log_in("lak", password)["token"]
        explained = run(tmp_path, "explain", "GET", "/users", "--token", token)
        assert "customer is not" in explained.stdout
        unknown = run(tmp_path, "explain", "GET", "/users", "--token", token + "x")
        assert unknown.stdout.startswith("denied: GET /users: token_invalid")
        taken = run(tmp_path, "users", "create", "--username", "LAK", "--role", "customer")
        assert (taken.returncode, taken.stderr) == (1, "username_taken: This username is taken.\n")
        invited = json.loads(
            run(tmp_path, "users", "create", "--username", "john", "--role", "customer", "--json").stdout
        )
        reset = {"reset_token": invited["reset_token"], "new_password": password}
        assert server.call("POST", "/password/reset", reset)[0] == 204
        assert server.log_in("john", password)["token"]
        shown = run(tmp_path, "users", "list").stdout
        listed = json.loads(run(tmp_path, "users", "list", "--json").stdout)["users"]
        assert [user["username"] for user in listed] == ["admin", "lak", "john"]
        # A pipe has no width that anything would have to be cut to.
        assert all(user["id"] in shown for user in listed)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["--username", "two words", "--role", "customer"], "", 2, "--username"),
        (["--username", "x", "--role", "king"], "", 1, "role: There is no such role"),
        (["--username", "x", "--role", "customer", "--name", "a\nb"], "", 1, "name: Use 1 to 200 characters"),
        (["--username", "x", "--role", "customer", "--name", "a" * 201], "", 1, "name: Use 1 to 200 characters"),
        (["--username", "x", "--role", "customer", "--password-stdin"], "short\n", 1, "password: "),
        (["--username", "x", "--role", "customer", "--password-stdin"], "", 2, "there is no password"),
    ],
)
def test_users_create_refuses_what_it_must(
    tmp_path: Path, arguments: list[str], stdin: str, code: int, message: str
) -> None:
    refused = run(tmp_path, "users", "create", *arguments, stdin=stdin)
    assert refused.returncode == code
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_user_commands_refuse_what_is_not_there(tmp_path: Path) -> None:
    with serving(tmp_path):
        for arguments in (["disable", "nobody"], ["set-role", "nobody", "admin"], ["set-password", "two words"]):
            refused = run(tmp_path, "users", *arguments, stdin="brown otters juggle turnips\n")
            assert (refused.returncode, refused.stderr[:9]) == (1, "not_found")
        for arguments in (["set-role", "admin", "customer"], ["disable", "admin"]):
            refused = run(tmp_path, "users", *arguments)
            assert (refused.returncode, refused.stderr[:10]) == (1, "last_admin")
        assert run(tmp_path, "users", "set-role", "admin", "king").returncode == 1
        assert run(tmp_path, "users", "set-role", "admin").returncode == 2
        assert run(tmp_path, "users", "set-role", "admin", "admin", "--role", "admin").returncode == 2
        assert run(tmp_path, "users", "set-role", "admin", "--role", "admin").returncode == 0


NAME = "山田 \u202eé\u2066\U0001f600"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "山田 \\u202eé\\u2066\U0001f600"),
        ("latin-1", "\\u5c71\\u7530 \\u202eé\\u2066\\U0001f600"),
    ],
)
def test_no_name_controls_a_terminal_or_makes_the_list_fail(tmp_path: Path, encoding: str, printed: str) -> None:
    assert run(tmp_path, "users", "create", "--username", "lak", "--role", "customer", "--name", NAME).returncode == 0
    for arguments in (["users", "list"], ["users", "list", "--json"]):
        listed = run_into(None, tmp_path, *arguments, encoding=encoding)
        assert (listed.returncode, listed.stderr) == (0, "")
        text = listed.stdout
        if "--json" in arguments:
            assert json.loads(text)["users"][0]["name"] == NAME
        else:
            assert printed in text


def test_the_list_tells_who_has_no_password_and_ends_with_the_last_user(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    assert json.loads(run(tmp_path, "users", "list", "--json").stdout) == {"users": []}
    columns = ["username", "name", "email", "role", "disabled", "password", "id"]
    assert run(tmp_path, "users", "list").stdout.split() == columns
    rows = "".join(f'{{"username": "user{number}", "role": "customer"}}\n' for number in range(450))
    assert run(tmp_path, "users", "import", "-", "--format", "jsonl", stdin=rows).returncode == 0
    made = run(tmp_path, "users", "create", "--username", "lak", "--role", "admin", "--password-stdin",
               stdin="brown otters juggle turnips\n")  # fmt: skip
    assert made.returncode == 0
    listed = json.loads(run(tmp_path, "users", "list", "--json").stdout)["users"]
    assert len({user["id"] for user in listed}) == 451
    assert {user["username"] for user in listed if user["has_password"]} == {"lak"}
    header, *lines = run(tmp_path, "users", "list").stdout.splitlines()
    assert len(lines) == 451
    cells = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert {row["password"] for row in cells if row["username"] != "lak"} == {"none"}
    (lak,) = [row for row in cells if row["username"] == "lak"]
    wanted = dict.fromkeys(columns, "") | {"username": "lak", "name": "lak", "role": "admin", "id": lak["id"]}
    assert lak == wanted
    assert [row["id"] for row in cells] == [user["id"] for user in listed]
