"""Runs the Node example."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.client import Answer, Fields, connected
from tests.process.server_process import DEADLINE_SECONDS, ROOT

FOLDER = ROOT / "examples" / "protected_api_node"
OLDEST = 20


def node_program() -> str | None:
    """Where a node is that is new enough."""
    program = shutil.which("node")
    if program is None:
        return None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return program if int(version.removeprefix("v").partition(".")[0]) >= OLDEST else None


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of the example; a free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_") and name != "HOST"}
    return kept | {"PORT": "0"} | changes


@dataclass(frozen=True)
class NodeApi:
    """The example, listening."""

    process: subprocess.Popen[str]
    port: int

    def ask(self, method: str, path: str, token: str | None = None, headers: Fields = ()) -> Answer:
        with connected(self.port) as client:
            return client.ask(method, path, headers, token=token)

    def refusal(self, token: str | None, path: str = "/orders") -> tuple[int, list[str], str]:
        """Status, challenge and code of a failure."""
        answer = self.ask("GET", path, token)
        return answer.status, answer.values("WWW-Authenticate"), answer.problem()["code"]


@contextlib.contextmanager
def running_api(node: str, watchword: str, **changes: str) -> Iterator[NodeApi]:
    """The example for the tokens of that Watchword; killed at the end if the test did not stop it."""
    with subprocess.Popen(
        [node, "server.js"],
        cwd=FOLDER,
        env=environment(WATCHWORD_URL=watchword, **changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"listens on http://127\.0\.0\.1:(\d+)", line)
            assert found, line
            yield NodeApi(process, int(found[1]))
        finally:
            process.kill()


def refused_start(node: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A start that ends by itself."""
    return subprocess.run(
        [node, "server.js"],
        cwd=FOLDER,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
