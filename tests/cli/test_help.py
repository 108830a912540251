"""Every help is short, fits 80 columns, and ends with an example that the command takes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.cli.command import Command, Group
from server.cli.commands import COMMANDS, INNER_LINES, load
from tests.cli.names import command_names
from tests.environment import ROOT
from tests.in_process import run

GROUPS = [name for name in COMMANDS if hasattr(load(name), "commands")]
PLACES = ["", *GROUPS, *command_names()]


def command(name: str) -> Any:
    group, _, inner = name.partition(" ")
    return load(group).commands[inner] if inner else load(group)


def example(text: str) -> list[str]:
    """The lines behind the word, without the program."""
    lines = text.partition("\nExample:\n")[2].splitlines()
    assert lines
    assert all(line.startswith("  python -m server ") for line in lines), lines
    return [line.removeprefix("  python -m server ") for line in lines]


@pytest.mark.parametrize("name", PLACES)
def test_help_fits_a_terminal_and_ends_with_an_example_that_is_taken(tmp_path: Path, name: str) -> None:
    shown = run(tmp_path, *name.split(), "--help", COLUMNS="80")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    # Nothing is cut: the first sentence of a command fits the list of its group.
    assert "..." not in shown.stdout.partition("Commands:")[2]
    for line in example(shown.stdout):
        assert not name or line.startswith(name)
        words = shlex.split(line)
        leaf = " ".join(words[: 2 if words[0] in GROUPS else 1])
        with command(leaf).make_context(leaf, words[len(leaf.split()) :]) as context:
            assert context.params


@pytest.mark.parametrize("name", command_names())
def test_every_command_and_group_is_of_our_kind(name: str) -> None:
    assert isinstance(command(name), Command), f"{name}: make it with server.cli.command.Commands"
    assert all(isinstance(load(group), Group) for group in GROUPS)


def test_the_installed_program_shows_its_own_name() -> None:
    script = "import sys; sys.argv[0] = '/usr/bin/watchword'; from server.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "users", "show", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\nExample:\n  watchword users show lak\n")
    assert done.stdout.startswith("Usage: watchword users show [OPTIONS] ")


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_shell_completes_names_to_is_what_the_group_has(group: str) -> None:
    found = {name: inner.get_short_help_str(200) for name, inner in load(group).commands.items()}
    assert INNER_LINES[group] == found


def test_help_needs_none_of_the_commands() -> None:
    """So it stays as fast as it is, however many there are."""
    script = (
        "import sys\nfrom server.cli import main\ntry:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert re.search("users +Make and change accounts", done.stdout)
    assert not loaded & {"pydantic", "aiohttp", "asyncio", "rich", "structlog", "cryptography", "server.users.commands"}
