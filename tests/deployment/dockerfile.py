"""Reads the Dockerfile, as far as ours goes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from tests.environment import ROOT


class Instruction(NamedTuple):
    """`RUN`, and what stands behind it, without line breaks."""

    name: str
    text: str

    @property
    def command(self) -> list[str]:
        """The words of an instruction in exec form, `ENTRYPOINT ["watchword"]`, also behind `CMD` of a HEALTHCHECK."""
        words: list[str] = json.loads(self.text[self.text.index("[") :])
        return words


def instructions(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """All of them, in order."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*re.split(r"\s+", line.strip(), maxsplit=1)) for line in text.splitlines() if line.strip()]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, beginning with its FROM; the last one makes the image."""
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def variables(stage: list[Instruction]) -> dict[str, str]:
    """What ENV sets. A value that has a variable in it stays as it is written."""
    words = [word for instruction in stage if instruction.name == "ENV" for word in instruction.text.split()]
    return dict(word.split("=", 1) for word in words)
