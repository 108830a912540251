from __future__ import annotations

import pytest

from server.cli import _serves


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
