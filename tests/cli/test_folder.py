"""Another working directory means other files, so they are named, and only what makes a store makes one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.in_process import run

READING = [
    ["users", "list"],
    ["users", "export"],
    ["keys", "list"],
    ["audit", "list"],
    ["audit", "verify"],
    ["token", "verify", "x"],
    ["store", "backup", "copy.db"],
    ["users", "disable", "lak"],
]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: " ".join(arguments[:2]))
def test_a_command_that_needs_a_store_makes_none(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("store: ")
    assert str(tmp_path / "data" / "watchword.db") in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names alone


def test_an_empty_postgresql_database_stays_empty(tmp_path: Path, postgres_url: str) -> None:
    changes = {"WATCHWORD__STORE__URL": postgres_url, "WATCHWORD__KEYS__MASTER_KEY": "kJ3#mQ9!vX2@pL7$wR5%tY8^uB4&nC6*"}
    done = run(tmp_path, "users", "list", **changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("store: there is no store in the PostgreSQL database")
    assert "applied" in run(tmp_path, "migrate", **changes).stdout
    assert run(tmp_path, "users", "list", **changes).returncode == 0
