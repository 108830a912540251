"""schemathesis makes requests of the OpenAPI document that the server publishes, good and bad ones.

It holds each answer against the document, by all of its checks, and chains requests by what answers have named.
What it may not expect of a schema is in schemathesis.toml and schemathesis_hooks.py, each with its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import environment
from tests.faults.fuzzed import faults_in, fuzzed
from tests.figures import Figures
from tests.volume import IS_FULL

_SEEDS = {"admin": 1, "moderator": 2, "customer": 3, "nobody": 4}
_WHO = tuple(_SEEDS) if IS_FULL else ("admin",)
_USERS = 40 if IS_FULL else 8
# A hang, on a machine that is ten times as busy as it should be.
_SECONDS = 900


@pytest.mark.parametrize("who", _WHO)
@pytest.mark.parametrize("store_url", ["postgres" if IS_FULL else "sqlite"], indirect=True)
def test_every_answer_is_as_the_document_says(tmp_path: Path, store_url: str, who: str, figures: Figures) -> None:
    with fuzzed(tmp_path, store_url, {}, mail=who != "moderator", users=_USERS) as (server, log):
        phases = ("fuzzing", "stateful", "examples", "coverage") if IS_FULL else ("examples", "coverage")
        command = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
        command += ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
        command += ["run", f"{server.address}/openapi.json", "--seed", str(_SEEDS[who]), "--phases", ",".join(phases)]
        if not IS_FULL:
            command += ["--include-path-regex", "^/(login|refresh|sign-up|users|keys)"]
        told = {
            "SCHEMATHESIS_HOOKS": "tests.faults.schemathesis_hooks",
            "FUZZED_ADDRESS": server.address,
            "FUZZED_ROLE": who,
        }
        # It leaves a folder where it runs.
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(**told),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        # What failed stands in it with a command of curl, and at its end the seed.
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert server.call("GET", "/health/ready")[0] == 200
    assert faults_in(log) == []
    found = re.search(r"(\d+) generated, (\d+) passed", ran.stdout)
    assert found, ran.stdout
    made, passed = map(int, found.groups())
    assert made > 300, ran.stdout
    assert "stopped working mid-run" not in ran.stdout
    figures.at_most(f"requests of the OpenAPI document as {who}, of {made:,}: not as documented", made - passed, 0)
