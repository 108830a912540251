"""How much a volume test does: a tenth, so that `make test` is soon done; all of it by `make test-full`."""

from __future__ import annotations

import os

IS_FULL = bool(os.environ.get("FULL_TESTS"))


def volume(count: int) -> int:
    """`count`, or a tenth of it."""
    return count if IS_FULL else count // 10
