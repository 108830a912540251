"""docs/production.md has a row for each line that the server logs, with its fields."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.environment import ROOT

PAGE = (ROOT / "docs" / "production.md").read_text("utf-8")
SECTION = PAGE.partition("## What a log line holds\n")[2].partition("\n## ")[0]
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
# What every line has, and the traceback.
COMMON = {"timestamp", "level", "event", "exc_info"}


def _logged() -> dict[str, tuple[set[str], set[str]]]:
    """The levels and fields of each event."""
    found: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for path in sorted((ROOT / "server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name("_log"), attr=method)) if method in LEVELS:
                    assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: an event is a fixed text"
                    assert all(keyword.arg for keyword in node.keywords), f"{path}:{node.lineno}: fields are named"
                    levels, fields = found[str(node.args[0].value)]
                    levels.add(LEVELS[method])
                    fields |= {keyword.arg or "" for keyword in node.keywords} - COMMON
    return dict(found)


def _documented() -> dict[str, tuple[set[str], set[str]]]:
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z, ]+) \|([^|]*)\| [^|]+ \|$", SECTION, re.MULTILINE)
    return {event: (set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields))) for event, levels, fields in rows}


def test_every_event_has_a_row_with_its_level_and_fields() -> None:
    logged, documented = _logged(), _documented()
    differing = {event for event in logged.keys() | documented.keys() if logged.get(event) != documented.get(event)}
    assert {event: logged.get(event) for event in differing} == {event: documented.get(event) for event in differing}


def test_the_line_of_a_request_is_described_field_by_field() -> None:
    source = (ROOT / "server" / "http" / "request_log.py").read_text("utf-8")
    written = set(re.findall(r'^            "(\w+)": ', source, re.MULTILINE)) | set(
        re.findall(r'line\["(\w+)"\]', source)
    )
    assert set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", SECTION, re.MULTILINE)) == written - COMMON
