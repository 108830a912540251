"""Reads the commands of a document's console blocks."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<'(\w+)'")


def commands(document: Path, prompt: str) -> list[str]:
    """The commands with that prompt, `# ` or `$ `, each with the lines that belong to it. Output is left out."""
    found: list[str] = []
    for block in _BLOCK.findall(document.read_text("utf-8")):
        ending: str | None = None
        for line in block.splitlines():
            if ending is not None:
                found[-1] += f"\n{line}"
                ending = None if line == ending else ending
            elif found and found[-1].endswith("\\"):
                found[-1] += f"\n{line}"
            elif line.startswith(prompt):
                found.append(line.removeprefix(prompt))
                if heredoc := _HEREDOC.search(line):
                    ending = heredoc[1]
    return found
