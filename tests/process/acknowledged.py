"""What clients were told is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Fact(NamedTuple):
    """Something that an answer has acknowledged, and that stays true.

    `what` is an event of the audit log with its target (id, or name), which is recorded `value` times at least; or
    `step` of a session; or `mail` to an address.
    """

    request_id: str
    what: str
    subject: str
    value: int = 1


@dataclass
class Acknowledged:
    """What the clients were told is done."""

    users: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    # The latest refresh token of each session that goes on.
    living: dict[int, str] = field(default_factory=dict)
    # Access and refresh token of each session that was ended.
    ended: list[tuple[str, str]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    answers: int = 0
