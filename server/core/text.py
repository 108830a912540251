"""How text from outside is shown, and how it is stored."""

from __future__ import annotations

import json
import unicodedata

# Categories of Unicode: controls, invisible formatting, half characters, separators of lines and paragraphs.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Scripts such as Persian, and emoji, need some of the invisible formatting.
_NOT_IN_NAMES = INVISIBLE - {"Cf"}


def is_displayable(text: str) -> bool:
    """Whether a display name has no control characters, line breaks or lone surrogates."""
    return not any(unicodedata.category(character) in _NOT_IN_NAMES for character in text)


def escaped(text: str) -> str:
    r"""The text with control characters, line separators and invisible formatting as JSON escapes, like `\u2028`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        json.dumps(character)[1:-1] if unicodedata.category(character) in INVISIBLE else character for character in text
    )


def storable(text: str | None) -> str | None:
    """A text that every database takes: `?` replaces NUL, which PostgreSQL refuses, and lone surrogates."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
