"""Removes repetitions from a password."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from math import log10

_WORDS = re.compile(r"[^\W\d_]+|\d+|[\W_]+")
_SHORTEST_WORD = 3


def said_once(text: str) -> tuple[str, float]:
    """The text with each word and each row of one character once, and the cost of the lengths of these rows.

    The cost is the logarithm (base 10) of guesses; it is 0 if all rows are equally long. Rows are reduced only if they
    make up at least half of the text.
    """
    text = "".join(_without_repeated_words(text))
    rows = [(character, len(list(row))) for character, row in groupby(text)]
    if 2 * len(rows) > len(text):
        return text, 0.0
    lengths = Counter(length for _, length in rows)
    added_log10 = sum(count * log10(len(rows) / count) for count in lengths.values())
    return "".join(character for character, _ in rows), added_log10


def _without_repeated_words(text: str) -> list[str]:
    kept, seen = [], set()
    for word in _WORDS.findall(text):
        form = word.casefold()
        if form not in seen:
            kept.append(word)
        if len(word) >= _SHORTEST_WORD:
            seen.add(form)
    return kept
