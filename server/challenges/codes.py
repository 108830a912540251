"""Codes that people type: 8 characters, 39 random bits, shown as `XXXX-XXXX`."""

from __future__ import annotations

import unicodedata

from server.core.ids import Ids

# Without 0 and O, 1, I and L, and U, which looks like V.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8
# Categories of Unicode that do not count: spaces, dashes, controls and invisible formatting.
_IGNORED = frozenset({"Zs", "Zl", "Zp", "Pd", "Cc", "Cf"})
# Longer text is no code, and costs no time.
_LONGEST = 100


def new_code(ids: Ids) -> str:
    """A code as people see it."""
    # Out of so many bits, the remainder of the division prefers no code noticeably (2^-88).
    number = int.from_bytes(ids.random_bytes(16), "big")
    letters = []
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"


def normalised(code: str) -> str:
    """What codes are compared by: in capitals, without spaces and dashes, and each character in its common width."""
    text = unicodedata.normalize("NFKC", code[:_LONGEST]).upper()
    return "".join(character for character in text if unicodedata.category(character) not in _IGNORED)
