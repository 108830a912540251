"""`make faults` shows at its end what was measured. In `make test` the figures of its test processes are not shown."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.postgres_cluster import Cluster, cluster
from tests.figures import Figures
from tests.postgres import PostgresServer

_FIGURES = Figures()


@pytest.fixture(scope="session")
def figures() -> Figures:
    return _FIGURES


@pytest.fixture(scope="module")
def postgres_cluster(postgres_server: PostgresServer) -> Iterator[Cluster]:
    """A PostgreSQL of the module's own. The shared one has made the user that it runs as."""
    with cluster(postgres_server.system_user) as made:
        yield made


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Path]:
    """Where the disks are made: in memory, if there is room, since they are not the ones that have to be safe."""
    memory = Path("/dev/shm")  # noqa: S108 - the name below it is random
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder) / "found"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES.rows:
        terminalreporter.section("figures")
        _FIGURES.show()
