"""`make faults` shows at its end what was measured. In `make test` the figures of its test processes are not shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.postgres_cluster import Cluster, cluster
from tests.figures import Figures
from tests.postgres import PostgresServer

_FIGURES = Figures()


@pytest.fixture
def figures() -> Figures:
    return _FIGURES


@pytest.fixture(scope="module")
def postgres_cluster(postgres_server: PostgresServer) -> Iterator[Cluster]:
    """A PostgreSQL of the module's own. The shared one has made the user that it runs as."""
    with cluster(postgres_server.system_user) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES.rows:
        terminalreporter.section("figures")
        _FIGURES.show()
