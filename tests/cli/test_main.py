from __future__ import annotations

import subprocess
import sys

import pytest

from server.cli import _serves
from server.cli.commands import COMMANDS, load


@pytest.mark.parametrize(
    ("line", "serves"),
    [
        ("", True),
        ("serve", True),
        ("--config my.toml", True),
        ("--config my.toml serve --demo", True),
        ("--config=my.toml serve", True),
        ("users list", False),
        ("--config serve users list", False),
        ("--config=serve migrate --config serve", False),
    ],
)
def test_a_server_is_known_by_its_arguments(line: str, serves: bool) -> None:
    assert _serves(line.split()) is serves


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_list_says(name: str) -> None:
    assert load(name).get_short_help_str(100) == COMMANDS[name][1]


def test_no_time_is_spent_on_garbage_when_a_command_starts_and_ends() -> None:
    script = (
        "import atexit, gc\n"
        "from server.cli import main\n"
        "collections = lambda: sum(each['collections'] for each in gc.get_stats())\n"
        "before = collections()\n"
        "def tell(): print(collections() - before, gc.isenabled(), len(gc.get_objects()) < gc.get_freeze_count())\n"
        "atexit.register(tell)\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "--help"]
    count, *rest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split()
    assert rest == ["True", "True"]
    # An import of some hundred modules alone would cost more.
    assert int(count) < 30
