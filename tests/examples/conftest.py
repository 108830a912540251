"""What the examples run with."""

from __future__ import annotations

import pytest

from tests.examples.node_api import FOLDER, OLDEST, node_program
from tests.needed import require


@pytest.fixture(scope="session")
def node() -> str:
    """Where node is; the example's packages are there too."""
    program = node_program()
    require(
        {
            f"node {OLDEST} or newer (Debian package: nodejs)": program,
            f"jose (npm ci in {FOLDER.parent.name}/{FOLDER.name})": (FOLDER / "node_modules" / "jose").is_dir(),
        }
    )
    assert program
    return program
