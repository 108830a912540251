"""What a username is."""

from __future__ import annotations

import re
import unicodedata

# ASCII on purpose: the name travels in header fields (X-Auth-Username), and look-alikes from other scripts can't pose
# as somebody else (RFC 8265 section 8). Email addresses fit.
USERNAME_PATTERN = r"^[A-Za-z0-9._@+-]{1,128}$"
_USERNAME = re.compile(USERNAME_PATTERN.removesuffix("$"))


NAME_LENGTH = 200


def is_displayable(text: str) -> bool:
    """Whether a name to show is one line of characters: no control characters, line breaks or lone surrogates."""
    return not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)


def account_key(username: str) -> str:
    """The name in the form in which names are compared, also of what is no name: guesses of it are counted alike."""
    return username.casefold()


def is_username(text: str) -> bool:
    """Whether an account could have this name. Saves the store from asking for what can't be there."""
    return _USERNAME.fullmatch(text) is not None
