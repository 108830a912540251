"""`make faults` shows at its end what was measured. In `make test` the figures of its test processes are not shown."""

from __future__ import annotations

import pytest

from tests.figures import Figures

_FIGURES = Figures()


@pytest.fixture
def figures() -> Figures:
    return _FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES.rows:
        terminalreporter.section("figures")
        _FIGURES.show()
