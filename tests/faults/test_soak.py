"""A mixed load for a minute, or for some seconds in `make test`; `python -m tests.faults.soak` runs it for longer.

It covers each route of the route table: a new one fails this test until a life in tests/faults/soak/lives.py calls it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.soak.judgement import check, tell
from tests.faults.soak.run import soaked
from tests.figures import Figures
from tests.volume import IS_FULL

# The purge begins after half a minute, when the tokens have expired.
_SECONDS = {"sqlite": 60 if IS_FULL else 5, "postgres": 30}
_PEOPLE = 2 if IS_FULL else 1


@pytest.mark.parametrize("store_url", ["sqlite", "postgres"] if IS_FULL else ["sqlite"], indirect=True)
async def test_a_mixed_load_leaves_nothing_behind(tmp_path: Path, store_url: str, figures: Figures) -> None:
    store = "sqlite" if store_url.startswith("sqlite") else "postgres"
    workers = 1 if store == "sqlite" else 2
    outcome = await soaked(tmp_path, store_url, _SECONDS[store], workers, _PEOPLE)
    check(outcome)
    tell(outcome, figures, store)
