"""Spaces, invisible characters and quotation marks that nobody meant to write.

A text with them is refused by the name of its setting: else they would be part of a secret or of a file's name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from server.core.text import INVISIBLE
from server.settings.similar_names import dotted

# Scripts such as Persian, and emoji, need these.
_JOINERS = frozenset("\u200c\u200d")
_QUOTATION_MARKS = frozenset({'""', "''", "``", "\u201c\u201d", "\u201e\u201c", "\u2018\u2019", "\u00ab\u00bb"})


def stray_characters(text: str) -> str | None:
    """Why a text is not what somebody meant to write, and what to do, to follow its name; None if it may be."""
    if text != text.strip():
        return "begins or ends with white space; take it off"
    for character in text:
        if unicodedata.category(character) in INVISIBLE and character not in _JOINERS:
            return f"has the character U+{ord(character):04X} in it, which can't be seen; take it out"
    if len(text) > 1 and text[0] + text[-1] in _QUOTATION_MARKS:
        return "stands in quotation marks, which would be part of it; take them off"
    return None


def texts_with_stray_characters(value: Any, steps: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for each text in a tree of settings that can't be meant."""
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
