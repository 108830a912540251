"""The commands, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from server.cli.commands import app
from tests.process.server_process import DEADLINE_SECONDS, ROOT, environment, run, serving


def command_names() -> list[str]:
    group = typer.main.get_command(app)
    names = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names += [f"{name} {part}" for part in inner] if inner else [name]
    return names


@pytest.mark.parametrize("name", command_names())
def test_the_docs_name_every_command(name: str) -> None:
    assert f"`{name}" in (ROOT / "docs" / "commands.md").read_text("utf-8")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    for name in ("serve", "migrate", "config", "routes", "explain", "openapi", "users"):
        assert name in shown.stdout
    assert run(tmp_path, "--version").stdout.startswith("watchword ")
    assert run(tmp_path, "-h").stdout == shown.stdout


def test_help_shows_no_value_behind_a_flag(tmp_path: Path) -> None:
    shown = run(tmp_path, "users", "list", "--help").stdout
    assert [line.split()[:2] for line in shown.splitlines() if "--json" in line] == [["--json", "Print"]]
    assert "bool" not in shown


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    for arguments in (
        ["nonsense"],
        ["serve", "--nonsense"],
        ["explain", "GET"],
        ["--config", "missing.toml", "routes"],
    ):
        refused = run(tmp_path, *arguments)
        assert refused.returncode == 2, arguments
        assert "Traceback" not in refused.stderr


def test_config_may_stand_before_or_behind_the_command(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[server]\nport = 4321\n")
    changes = {"WATCHWORD__SERVER__PORT": "4321"}
    for arguments in (["--config", "mine.toml", "config", "show"], ["config", "show", "--config", "mine.toml"]):
        shown = run(tmp_path, *arguments, **changes)
        assert "port = 4321" in shown.stdout


def test_config_check_and_show(tmp_path: Path) -> None:
    secret = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"
    changes = {"WATCHWORD__TOKENS__SECRET": secret, "WATCHWORD__STORE__URL": "postgresql://u:hush@h/d",
               "WATCHWORD__KEYS__MASTER_KEY": secret}  # fmt: skip
    checked = run(tmp_path, "config", "check", **changes)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "the settings are fine")
    assert "weak: passwords.bcrypt_cost = 4" in checked.stdout
    assert "note: no proxy is trusted" in checked.stdout
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        shown = run(tmp_path, *arguments, **changes)
        assert shown.returncode == 0
        assert secret not in shown.stdout
        assert "hush" not in shown.stdout
        assert "********" in shown.stdout
    assert json.loads(shown.stdout)["tokens"]["secret"] == "********"
    broken = run(tmp_path, "config", "check", WATCHWORD__ACCESS='{"GET /nothing": ["admin"]}')
    assert broken.returncode == 2
    assert "no such route" in broken.stderr


def test_what_config_show_prints_can_be_read_again(tmp_path: Path) -> None:
    changes = {"WATCHWORD__ROLES__SUPPORT__INCLUDES": "customer", "WATCHWORD__ACCESS": '{"GET /users": ["support"]}'}
    shown = run(tmp_path, "config", "show", **changes).stdout
    (tmp_path / "config.toml").write_text(shown)
    assert run(tmp_path, "config", "show").stdout == shown


def test_routes_and_explain(tmp_path: Path) -> None:
    table = run(tmp_path, "routes").stdout
    assert "/users/{user_id}" in table
    rows = json.loads(run(tmp_path, "routes", "--json").stdout)["routes"]
    assert {"method": "GET", "path": "/users", "access": "admin", "roles": ["admin"], "overridden": False} in rows
    denied = run(tmp_path, "explain", "GET", "/users", "--role", "customer")
    assert denied.returncode == 0
    assert denied.stdout == (
        "denied: GET /users: it is open to: admin; customer is not and does not include any of these\n"
    )
    assert run(tmp_path, "explain", "get", "/users", "--role", "admin").stdout.startswith("allowed: GET /users: ")
    assert run(tmp_path, "explain", "GET", "/users").stdout.startswith("denied: GET /users: it takes a token")
    answer = json.loads(run(tmp_path, "explain", "POST", "/login", "--json").stdout)
    assert answer["allowed"] is True
    assert run(tmp_path, "explain", "GET", "/nothing").returncode == 1
    assert run(tmp_path, "explain", "GET", "/users", "--role", "king").returncode == 2
    assert run(tmp_path, "explain", "GET", "/users", "--role", "admin", "--token", "x").returncode == 2


def test_openapi_is_what_the_server_serves(tmp_path: Path) -> None:
    printed = json.loads(run(tmp_path, "openapi").stdout)
    with serving(tmp_path) as server:
        assert server.call("GET", "/openapi.json") == (200, printed)


def test_migrate_and_its_check(tmp_path: Path) -> None:
    checked = run(tmp_path, "migrate", "--check")
    assert checked.returncode == 1
    assert "pending  0001" in checked.stdout
    assert not (tmp_path / "data" / "watchword.db").exists()
    assert "applied  0001" in run(tmp_path, "migrate").stdout
    again = run(tmp_path, "migrate", "--check")
    assert (again.returncode, again.stdout) == (0, "the store is up to date\n")


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
        assert server.stop() == 0


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
    with serving(tmp_path) as server:
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
        assert server.stop() == 0


def test_a_store_without_an_admin_is_told(tmp_path: Path) -> None:
    run(tmp_path, "users", "create", "--username", "lak", "--role", "customer")
    with serving(tmp_path) as server:
        assert server.stop() == 0
        assert "nobody is an admin" in server.log()


def test_an_override_of_no_route_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", WATCHWORD__ACCESS='{"GET /nope": ["admin"]}')
    assert refused.returncode == 2
    assert 'access."GET /nope": there is no such route' in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "server", "openapi"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def run_into_a_full_disk(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["users", "list"],
        ["users", "list", "--json"],
        ["users", "reset-password", "lak"],
        ["audit", "list"],
        ["audit", "list", "--json"],
        ["audit", "export"],
        ["audit", "verify"],
        ["routes"],
        ["--help"],
    ],
)
def test_output_that_can_not_be_written_is_one_line_and_a_failure(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, "users", "create", "--username", "lak", "--role", "customer").returncode == 0
    done = run_into_a_full_disk(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (1, "output: it can't be written (No space left on device)\n")


def test_what_is_wrong_is_told_also_if_the_output_can_not_be_written(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    done = run_into_a_full_disk(tmp_path, "users", "delete", "nobody")
    assert (done.returncode, done.stderr) == (1, "not_found: There is no user 'nobody'.\n")


def test_ctrl_c_while_the_program_is_read_in_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run(tmp_path, "users", "list", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


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
        listed = subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=tmp_path,
            env=environment(PYTHONIOENCODING=encoding),
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert (listed.returncode, listed.stderr) == (0, b"")
        text = listed.stdout.decode(encoding)
        if "--json" in arguments:
            assert json.loads(text)["users"][0]["name"] == NAME
        else:
            assert printed in text


def test_the_list_tells_who_has_no_password_and_ends_with_the_last_user(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    assert json.loads(run(tmp_path, "users", "list", "--json").stdout) == {"users": []}
    assert run(tmp_path, "users", "list").stdout.split() == ["username", "name", "role", "disabled", "password", "id"]
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
    assert lak == {"username": "lak", "name": "lak", "role": "admin", "disabled": "", "password": "", "id": lak["id"]}
    assert [row["id"] for row in cells] == [user["id"] for user in listed]
