"""The frame of all commands, and those that belong to no feature."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.names import command_names
from tests.environment import ROOT
from tests.in_process import run, run_into, serving


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
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith("  --json")] == [["--json", "Print"]]
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
    row = {"access": "admin", "roles": ["admin"], "overridden": False}
    assert {"method": "GET", "path": "/users", **row, "recent": ""} in rows
    assert {"method": "DELETE", "path": "/users/{user_id}", **row, "recent": "always"} in rows
    assert "to change the address or a role to or from an admin role" in table
    denied = run(tmp_path, "explain", "GET", "/users", "--role", "customer")
    assert denied.returncode == 0
    assert denied.stdout == (
        "denied: GET /users: it is open to: admin; customer is not and does not include any of these\n"
    )
    assert run(tmp_path, "explain", "get", "/users", "--role", "admin").stdout.startswith("allowed: GET /users: ")
    assert run(tmp_path, "explain", "GET", "/users").stdout.startswith("denied: GET /users: it takes a token")
    answer = json.loads(run(tmp_path, "explain", "POST", "/login", "--json").stdout)
    assert (answer["allowed"], answer["recent"]) == (True, "")
    said = run(tmp_path, "explain", "DELETE", "/users/x", "--role", "admin").stdout
    assert said.startswith("allowed: ")
    assert said.endswith("; it asks for a recent sign-in: always\n")
    assert run(tmp_path, "explain", "GET", "/nothing").returncode == 1
    assert run(tmp_path, "explain", "GET", "/users", "--role", "king").returncode == 2
    assert run(tmp_path, "explain", "GET", "/users", "--role", "admin", "--token", "x").returncode == 2


def test_openapi_is_what_the_server_serves(tmp_path: Path) -> None:
    printed = json.loads(run(tmp_path, "openapi").stdout)
    with serving(tmp_path) as server:
        assert server.call("GET", "/openapi.json") == (200, printed)


def run_into_a_full_disk(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - to close it fails too
    try:
        return run_into(full, folder, *arguments)
    finally:
        with contextlib.suppress(OSError):
            full.close()


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
