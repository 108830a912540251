"""examples/monitoring: the queries are queries, and ask only for what a server shows."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from server.metrics.collector import AllProcesses
from server.metrics.metrics import SharedMetrics
from tests.environment import ROOT
from tests.needed import require

FOLDER = ROOT / "examples" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
# A metric with its matchers, the labels that are grouped by, and those of a text.
METRIC = re.compile(r"\b((?:watchword|http_server|process)_\w+|up)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each query, and the text that shows its labels."""
    for rule in RULES:
        yield rule["expr"], json.dumps(rule["annotations"])
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            yield expression, target["legendFormat"]


def labels_of_metrics() -> dict[str, set[str]]:
    """Each sample that a scrape can have, with its labels and those that Prometheus adds."""
    shared = SharedMetrics([("GET", "/me")], 1)
    shared.of_worker().request_answered("GET", "/me", 200, 0.0)
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    for metric in AllProcesses(shared).collect():
        for sample in metric.samples:
            found.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    return found


def promtool(folder: Path, *arguments: str) -> None:
    program = shutil.which("promtool")
    require({"promtool": program})
    done = subprocess.run([str(program), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_query_asks_for_metrics_and_labels_that_there_are() -> None:
    known = labels_of_metrics()
    for query, text in queries():
        used = METRIC.findall(query)
        assert used, query
        for name, matchers in used:
            assert name in known, query
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= known[name], query
        labels = set.intersection(*(known[name] for name, _ in used))
        grouped = GROUPED.findall(query)
        for group in grouped:
            assert set(re.findall(r"\w+", group)) <= labels, query
        kept = set(re.findall(r"\w+", grouped[0])) if grouped else labels
        assert set(SHOWN.findall(text)) - {"value"} <= kept, query


def test_all_queries_are_queries(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, (query, _) in enumerate(queries())]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    promtool(tmp_path, "check", "rules", "all.yml")


def test_the_alerts_fire_for_what_they_are_for() -> None:
    promtool(FOLDER, "check", "config", "prometheus.yml")
    promtool(FOLDER, "test", "rules", "alerts_test.yml")


def test_every_alert_has_a_test_that_fires_and_one_that_does_not() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text("utf-8"))["tests"]
    tested = [test["alert_rule_test"][0] for test in tests]
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        mine = [bool(one.get("exp_alerts")) for one in tested if one["alertname"] == rule["alert"]]
        assert sorted(mine) == [False, True], rule["alert"]


def test_the_panels_of_the_dashboard_have_a_place_each() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for one, other in itertools.combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for panel in panels():
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """But for what only tells versions."""
    shown = {name for query, _ in queries() for name, _ in METRIC.findall(query)}
    for name in labels_of_metrics():
        family = re.sub("_(bucket|count|sum)$", "", name)
        if name.startswith(("watchword_", "http_server_")) and name != "watchword_build_info":
            assert any(one.startswith(family) for one in shown), name


def test_the_docs_name_every_alert() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert set(re.findall(r"`(Watchword\w+)`", page)) == {rule["alert"] for rule in RULES}
