"""Other versions of this program, as folders for PYTHONPATH."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from server.database.migration_files import migrations
from tests.environment import ROOT

# The version before nodes told which migrations they know. It has the migrations up to 9.
LANDED = "2bedd83"
_PARTS = ("server", "watchword_client", "migrations")


def landed_program(folder: Path) -> Path:
    """The version LANDED. A checkout without its history can't be given one, so the test is skipped."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("missing: git")
    archive = subprocess.run([git, "archive", LANDED, *_PARTS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"this checkout does not have the commit {LANDED}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def later_program(folder: Path, added: Mapping[str, tuple[str, str]]) -> Path:
    """This program with further migrations: by name, their SQL for SQLite and for PostgreSQL."""
    for part in _PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    latest = migrations("sqlite")[-1].version
    for number, (name, texts) in enumerate(added.items(), latest + 1):
        for dialect, sql in zip(("sqlite", "postgres"), texts, strict=True):
            (folder / "migrations" / dialect / f"{number:04}_{name}.sql").write_text(sql, "utf-8")
    return folder
