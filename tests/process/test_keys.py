"""Keys across processes: rotations at the same moment. What workers know of keys is in test_worker_races.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import in_process
from tests.keys.load import keys
from tests.process.server_process import DEADLINE_SECONDS, environment
from tests.running import MASTER_KEY


@pytest.fixture
def settings(store_url: str) -> dict[str, str]:
    """For server and commands alike."""
    return {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}


def test_of_processes_that_rotate_at_the_same_moment_one_makes_a_key(tmp_path: Path, settings: dict[str, str]) -> None:
    with in_process.serving(tmp_path, **settings):
        before = {key["kid"] for key in keys(tmp_path, settings)}
        rotating = [
            subprocess.Popen(
                [sys.executable, "-m", "server", "keys", "rotate"],
                cwd=tmp_path,
                env=environment(**settings),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [process.communicate(timeout=DEADLINE_SECONDS) for process in rotating]
        after = keys(tmp_path, settings)
    assert len(before) == 2
    assert len({key["kid"] for key in after} - before) == 1
    for (out, err), process in zip(said, rotating, strict=True):
        if process.returncode == 0:
            assert "signs from" in out
        else:
            assert (process.returncode, "a rotation is under way" in err) == (1, True)
    assert any(process.returncode == 0 for process in rotating)
