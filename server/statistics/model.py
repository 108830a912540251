"""The figures. Times are epoch milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignInsOfHour:
    """How many logins succeeded and failed in the hour that begins then."""

    hour_at: int
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What the store says. `by_role` begins with the roles of the settings, also with those that nobody has."""

    total: int
    disabled: int
    by_role: Mapping[str, int]
    sessions_live: int
    sign_ins: Sequence[SignInsOfHour]
