"""docs/monitoring.md has every metric, with every value of its labels."""

from __future__ import annotations

import re

import pytest

from server.metrics.catalogue import (
    LOGIN_RESULTS,
    MAIL_RESULTS,
    METHODS,
    REFRESH_RESULTS,
    STORE_OPERATIONS,
    TOKEN_RESULTS,
    Catalogue,
)
from server.metrics.collector import AllProcesses
from server.metrics.metrics import SharedMetrics
from tests.environment import ROOT

PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")


def test_every_metric_is_there_with_its_labels() -> None:
    shared = SharedMetrics([], 1)
    shared.of_worker()
    found = set()
    for metric in AllProcesses(shared).collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        found.add("process_*" if name.startswith("process_") else name)
    told = {text.partition("{")[0] for text in re.findall(r"`([a-z_*]+(?:\{[^}]*\})?)`", PAGE)}
    assert found <= told
    assert {name for name in told if name.startswith(("watchword_", "http_server_"))} <= found
    for family in Catalogue([]).counted:
        if family.labels:
            assert f"`{family.name}{{{', '.join(family.labels)}}}`" in PAGE


@pytest.mark.parametrize(
    ("begins", "results"),
    [
        ("`watchword_login_total{", LOGIN_RESULTS),
        ("`watchword_refresh_total{", REFRESH_RESULTS),
        ("`watchword_token_check_total{", TOKEN_RESULTS),
        ("`watchword_mail_total{", MAIL_RESULTS),
    ],
)
def test_every_result_has_its_meaning(begins: str, results: tuple[str, ...]) -> None:
    table = PAGE[PAGE.index(begins) :].split("\n\n")[1]
    assert tuple(re.findall(r"(?m)^\| `(\w+)` \| \S", table)) == results


def test_the_other_sets_are_named() -> None:
    assert all(f"`{operation}`" in PAGE for operation in STORE_OPERATIONS)
    assert all(method in PAGE for method in METHODS)
