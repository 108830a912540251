"""What begins with a dash may be a value: a kid is base64url, and a username may have dashes anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.cli.command import Command
from server.cli.commands import load
from tests.cli.names import command_names
from tests.in_process import run, serving
from tests.running import PASSWORD

VALUES = ["-hXYZ", "-h-", "-X", "-", "-1", "-x=y", "-hconfig=x"]


def command(name: str) -> Command:
    group, _, inner = name.partition(" ")
    found = load(group).commands[inner] if inner else load(group)
    assert isinstance(found, Command), f"{name} is made without server.cli.command"
    return found


def arguments_of(name: str) -> list[str]:
    return [one.name for one in command(name).params if one.param_type_name == "argument"]


def parsed(name: str, arguments: list[str]) -> dict[str, object]:
    with command(name).make_context(name, arguments, resilient_parsing=False) as context:
        return dict(context.params)


# `completion` has no settings, and takes three words only.
WITH_VALUES = [name for name in command_names() if arguments_of(name) and name != "completion"]


@pytest.mark.parametrize("name", WITH_VALUES)
def test_every_command_takes_it_where_it_takes_a_value(name: str) -> None:
    for value in VALUES:
        wanted = [value] * len(arguments_of(name))
        for arguments in (["--config", "-c.toml", *wanted], [*wanted, "--config=-c.toml"]):
            found = parsed(name, arguments)
            assert [str(found[one]) for one in arguments_of(name)] == wanted, arguments
            assert str(found["config"]) == "-c.toml", arguments
        found = parsed(name, ["--", *wanted])
        assert [str(found[one]) for one in arguments_of(name)] == wanted


def test_a_key_is_revoked_whatever_its_name_begins_with(tmp_path: Path) -> None:
    with serving(tmp_path):
        for kid in ("-hXYZ", "--XYZ", "--help-me", "-"):
            refused = run(tmp_path, "keys", "revoke", kid)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr == f"not_found: There is no key '{kid}'.\n"


def test_a_user_whose_name_begins_with_a_dash_is_disabled_and_found(tmp_path: Path) -> None:
    for name in ("-hans", "--hans"):
        made = run(tmp_path, "users", "create", "--username", name, "--role", "customer", "--password-stdin",
                   stdin=PASSWORD)  # fmt: skip
        assert made.returncode == 0, made.stderr
    assert run(tmp_path, "users", "disable", "-hans").returncode == 0
    assert run(tmp_path, "users", "disable", "--", "--hans").returncode == 0
    for name in ("-hans", "--hans"):
        listed = json.loads(run(tmp_path, "audit", "list", "--target", name, "--json").stdout)["events"]
        assert [record["event"] for record in listed] == ["user_changed", "user_created"]


def test_a_misspelt_option_is_no_value(tmp_path: Path) -> None:
    assert run(tmp_path, "users", "create", "--username", "lak", "--role", "customer").returncode == 0
    for arguments, told in (
        (["users", "delete", "lak", "--yse"], "No such option: --yse; did you mean --yes?"),
        (["users", "delete", "--hans"], "No such option: --hans; if it is a value, write -- before it"),
        (["audit", "list", "--actor"], "Option '--actor' requires an argument"),
        (["audit", "export", "out", "--config"], "Option '--config' requires an argument"),
        (["serve", "-hx"], "No such option: -x"),
    ):
        refused = run(tmp_path, *arguments)
        assert (refused.returncode, told in refused.stderr) == (2, True), refused
    assert run(tmp_path, "users", "enable", "-h").stdout.startswith("Usage: ")
    assert not (tmp_path / "out").exists()
