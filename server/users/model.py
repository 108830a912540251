"""What a name to show is. Usernames are in server/users/names.py."""

from __future__ import annotations

import unicodedata

NAME_LENGTH = 200


def is_displayable(text: str) -> bool:
    """Whether a name to show is one line of characters: no control characters, line breaks or lone surrogates."""
    return not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)
