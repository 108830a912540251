"""Text that is shown to people."""

from __future__ import annotations

import unicodedata


def is_displayable(text: str) -> bool:
    """Whether a name to show is one line of characters: no control characters, line breaks or lone surrogates."""
    return not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)
