"""Draws what the part `peers` found: JSON from standard input, an SVG to the path that is the argument.

Matplotlib is in the environment of the peers. The picture has a ground of its own, and a style for dark pages.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Patch

VERIFY, USER = "GET /verify", "GET /users/{id}"
# Light and dark: the ground, text, lines, and the bars of each kind of request, of Watchword and of the others.
LIGHT = {"ground": "#fdfefe", "text": "#1f2328", "line": "#d1d5da"}
DARK = {"ground": "#0d1117", "text": "#e6edf3", "line": "#30363d"}
BARS = {(VERIFY, True): "#0969da", (USER, True): "#72aef2", (VERIFY, False): "#6e7781", (USER, False): "#afb8c1"}
_HEIGHT = 0.38


def draw(rows: dict[str, dict[str, list[float] | None]], caption: str) -> str:
    """`rows` have for each server and kind of request: requests a second, CPU µs for one."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "watchword", "font.size": 10.0}
    # Two workers have two cores, so they do not belong here.
    shown = {name: row for name, row in rows.items() if "2 workers" not in name}
    names = sorted(shown, key=lambda name: -(shown[name][VERIFY] or [0])[0])
    figure = Figure(figsize=(11, 0.6 * len(names) + 1.1), facecolor=LIGHT["ground"])
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, shown, names, 0, "requests a second on one core")
    _panel(right, shown, names, 1, "CPU µs for a request")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    for label in left.get_yticklabels():
        if label.get_text().startswith("Watchword"):
            label.set_fontweight("bold")
    figure.text(0.01, 0.015, caption, fontsize=8, color=LIGHT["text"])
    figure.legend(handles=_legend(), loc="lower right", ncols=2, frameon=False, labelcolor=LIGHT["text"])
    figure.tight_layout(rect=(0, 0.05, 1, 1), w_pad=2)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor=LIGHT["ground"])
    return _for_dark_pages(text.getvalue())


def _panel(axes: Any, shown: dict[str, Any], names: list[str], place: int, title: str) -> None:
    axes.set_title(title, loc="left", color=LIGHT["text"], fontsize=11)
    axes.set_facecolor("none")
    axes.set_xticks([])
    axes.tick_params(length=0, colors=LIGHT["text"])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(LIGHT["line"])
    for kind, offset in ((VERIFY, -_HEIGHT / 2), (USER, _HEIGHT / 2)):
        for number, name in enumerate(names):
            found = shown[name][kind]
            if found is None:
                continue
            color = BARS[kind, name.startswith("Watchword")]
            bar = axes.barh(number + offset, found[place], _HEIGHT * 0.92, color=color)
            axes.bar_label(bar, labels=[f"{found[place]:,.0f}"], padding=3, fontsize=8, color=LIGHT["text"])
    axes.margins(x=0.14, y=0.01)


def _legend() -> list[Patch]:
    return [Patch(color=BARS[kind, True], label=kind) for kind in (VERIFY, USER)]


def _for_dark_pages(svg: str) -> str:
    """Matplotlib writes colours into each element; a rule that is important goes first."""
    rules = [
        f'[style*="fill: {LIGHT["ground"]}"] {{ fill: {DARK["ground"]} !important; }}',
        f'[style*="stroke: {LIGHT["line"]}"] {{ stroke: {DARK["line"]} !important; }}',
        f"text {{ fill: {DARK['text']} !important; }}",
    ]
    style = "@media (prefers-color-scheme: dark) {\n  " + "\n  ".join(rules) + "\n}"
    return svg.replace("</metadata>", f"</metadata>\n <style>{style}</style>", 1)


def main() -> None:
    given = json.load(sys.stdin)
    Path(sys.argv[1]).write_text(draw(given["rows"], given["caption"]), "utf-8")


if __name__ == "__main__":
    main()
