"""Every link of the documents leads to a file, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "watchword_client/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    inner = [target for target in _LINK.findall(text) if not target.startswith(("http:", "https:"))]
    assert [target for target in inner if not _leads_somewhere(ROOT / document, target)] == []


def _leads_somewhere(document: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    found = document.parent / file if file else document
    if not anchor:
        return found.exists()
    return found.is_file() and anchor in map(_anchor, re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE))


def _anchor(heading: str) -> str:
    """What a heading is linked by: lower case, signs gone, spaces as hyphens."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")
