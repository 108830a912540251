"""Pages have nothing to do with the store, so one kind of store is enough."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/watchword.db"
