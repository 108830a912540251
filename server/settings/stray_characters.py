"""Finds spaces, invisible characters and quotation marks around a value, which were written by mistake.

Such a value is refused, or they would become a part of a secret or of a file's name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from server.core.text import INVISIBLE
from server.settings.similar_names import dotted

# Zero-width joiners: some scripts, such as Persian, and emoji need them.
_JOINERS = frozenset("\u200c\u200d")
_QUOTATION_MARKS = frozenset({'""', "''", "``", "\u201c\u201d", "\u201e\u201c", "\u2018\u2019", "\u00ab\u00bb"})


def stray_characters(text: str) -> str | None:
    """What is wrong with the text and what to do, as the end of a message; None if nothing is wrong."""
    if text != text.strip():
        return "begins or ends with white space; take it off"
    for character in text:
        if unicodedata.category(character) in INVISIBLE and character not in _JOINERS:
            return f"has the character U+{ord(character):04X} in it, which can't be seen; take it out"
    if len(text) > 1 and text[0] + text[-1] in _QUOTATION_MARKS:
        return "stands in quotation marks, which would be part of it; take them off"
    return None


def texts_with_stray_characters(value: Any, steps: tuple[str, ...] = ()) -> Iterator[str]:
    """A message for each text in a tree of settings that has such characters."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from texts_with_stray_characters(part, (*steps, key))
    elif isinstance(value, list):
        for part in value:
            yield from texts_with_stray_characters(part, steps)
    elif isinstance(value, str):
        reason = stray_characters(value)
        if reason is not None:
            yield f"{dotted(steps)}: {reason}"
