"""The files and folders that docs/architecture.md and CONTRIBUTING.md name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("docs/architecture.md", "CONTRIBUTING.md")
# `keys/rotation.py`, `migrations/`, `config.toml`: in backticks, with an ending or a slash.
NAMED = re.compile(r"`([\w./-]+(?:\.(?:py|toml|md|sql)|/))`")
# The documents leave out the folder that they are about. A name without a folder stands for that file of any feature.
FOLDERS = ("", "server", "docs", "tests")


def _exists(name: str) -> bool:
    if any((ROOT / folder / name).exists() for folder in FOLDERS):
        return True
    return "/" not in name.rstrip("/") and any((ROOT / "server").glob(f"**/{name}"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_exists(document: str) -> None:
    named = set(NAMED.findall((ROOT / document).read_text("utf-8")))
    assert len(named) > 10
    assert [name for name in sorted(named) if not _exists(name)] == []
