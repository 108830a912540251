"""What the environment of a server or a command says in tests."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAST = {"WATCHWORD__PASSWORDS__BCRYPT_COST": "4", "WATCHWORD__SERVER__PORT": "0"}


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of its own; cheap hashes and a free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD__")}
    return kept | {"PYTHONPATH": str(ROOT)} | FAST | changes
