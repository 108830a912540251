"""Programs that some tests need beside Python: without them those are skipped; where they must run, they fail."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest


def require(needed: Mapping[str, object]) -> None:
    """Skip, or with CI=true fail, in one line that names what was not found."""
    missing = ", ".join(name for name, found in needed.items() if not found)
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"missing: {missing}")
    if missing:
        pytest.skip(f"missing: {missing}")
