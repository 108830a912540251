"""Which of the languages that are offered somebody gets."""

from __future__ import annotations

from collections.abc import Sequence


def best_language(preferred: Sequence[str], offered: Sequence[str]) -> str:
    """The first preferred one that is offered, or else the first offered one, which is the default."""
    return next((language for language in preferred if language in offered), offered[0])
