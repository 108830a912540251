"""What `doctor` says of a folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.in_process import run


class Examined:
    """Its findings."""

    def __init__(self, code: int, findings: list[dict[str, str]]) -> None:
        self.code = code
        self.findings = findings

    def told(self, level: str, topic: str) -> list[str]:
        """What is said at this level about this topic, each with what to do."""
        return [
            "; ".join(filter(None, (one["text"], one.get("remedy"))))
            for one in self.findings
            if (one["level"], one["topic"]) == (level, topic)
        ]

    def levels(self, topic: str) -> set[str]:
        return {one["level"] for one in self.findings if one["topic"] == topic}

    def names(self, topic: str, text: str) -> bool:
        """Whether this alone is wrong, and nothing was a surprise."""
        wrongs = [
            (one["topic"], one["text"] + (one.get("remedy") or "")) for one in self.findings if one["level"] == "wrong"
        ]
        assert self.code == (1 if wrongs else 0)
        assert not any("could not be checked" in said for _, said in wrongs), wrongs
        assert wrongs, self.findings
        assert all(found == topic for found, _ in wrongs), wrongs
        return any(text in said for _, said in wrongs)


def examined(folder: Path, *arguments: str, **changes: str) -> Examined:
    """The command, which prints one document and nothing else."""
    done = run(folder, "doctor", "--json", *arguments, **changes)
    assert done.stderr == ""
    findings = json.loads(done.stdout)
    assert all(set(one) - {"remedy"} == {"topic", "level", "text"} for one in findings)
    assert all("\n" not in value for one in findings for value in one.values())
    return Examined(done.returncode, findings)
