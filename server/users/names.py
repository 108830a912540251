"""User names and what they are compared and searched by: one place, for every entry.

Two user names are the same if RFC 8265 UsernameCaseMapped makes the same text of them: fullwidth and halfwidth
characters are mapped, upper case becomes lower case, combined characters are composed (NFC), and what may not be in an
identifier is refused (RFC 8264 section 8). Of ASCII letters, digits and . _ @ + - the profile makes their lower case.

On top of the profile a name has a bounded length, no spaces, and no letters of scripts that look alike: "paypal" with a
Cyrillic a is nobody's name (RFC 8265 section 8, UTS 39 section 5.2). A whole word in another script that looks like a
Latin one is not noticed.
"""

from __future__ import annotations

import unicodedata

from precis_i18n import get_profile

# Of the name, in characters (code points) and in bytes of UTF-8.
USERNAME_LENGTH = 128
USERNAME_BYTES = 256
USERNAME_RULE = (
    f"letters and digits of any script and the signs of ASCII, no spaces, at most {USERNAME_LENGTH} characters and "
    f"{USERNAME_BYTES} bytes of UTF-8 (RFC 8265 UsernameCaseMapped)"
)
# Of a name to show, in characters.
NAME_LENGTH = 200
# What is searched is cut here; a name to show may grow when its characters are taken apart.
SEARCH_TEXT_LENGTH = 1000

# Compared by the one, kept and shown in the other, which keeps the case.
_MAPPED = get_profile("UsernameCaseMapped")
_PRESERVED = get_profile("UsernameCasePreserved")
# Scripts whose letters look like each other's. In Unicode the name of a letter begins with its script.
_LOOKING_ALIKE = frozenset(("LATIN", "CYRILLIC", "GREEK", "CHEROKEE"))
# Reasons of the profile that are about the whole name, or about characters that have no other name.
_REASONS = {
    "empty": "Give a name",
    "spaces": "Spaces are not allowed",
    "controls": "Control characters and line breaks are not allowed",
    "bidi_rule": "Letters that are written from right to left can't be mixed with others (RFC 5893)",
}


def username_of(text: str) -> str:
    """The form in which a username is kept and shown: as given, in RFC 8265 UsernameCasePreserved.

    Raises ValueError, which says what is wrong with it.
    """
    if len(text) > 2 * USERNAME_LENGTH:
        raise ValueError(f"Use at most {USERNAME_LENGTH} characters")
    try:
        name, key = _PRESERVED.enforce(text), _MAPPED.enforce(text)
    except UnicodeEncodeError as error:
        raise ValueError(_reason(error)) from None
    if max(len(name), len(key)) > USERNAME_LENGTH:
        raise ValueError(f"Use at most {USERNAME_LENGTH} characters")
    if max(len(name.encode()), len(key.encode())) > USERNAME_BYTES:
        raise ValueError(f"Use at most {USERNAME_BYTES} bytes in UTF-8")
    if len(scripts_looking_alike(name)) > 1:
        raise ValueError("Use letters of one script: these have letters that look alike")
    return name


def username_key(text: str) -> str | None:
    """What a username is compared by; None if no account could have this name."""
    try:
        return _MAPPED.enforce(username_of(text))
    except ValueError:
        return None


def search_form(text: str) -> str:
    """Text in the form in which users are searched: case, width and Unicode form do not matter (NFKC, folded)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)[:SEARCH_TEXT_LENGTH]


def _reason(error: UnicodeEncodeError) -> str:
    reason = error.reason.rpartition("/")[2]
    if reason in _REASONS:
        return _REASONS[reason]
    return f"The character U+{ord(error.object[error.start]):04X} can't be in a username"


def scripts_looking_alike(text: str) -> set[str]:
    """The scripts in the text whose letters look like those of another one. A name has one of them at most."""
    found = {unicodedata.name(character, "").partition(" ")[0] for character in text if not character.isascii()}
    if any(character.isascii() and character.isalpha() for character in text):
        found.add("LATIN")
    return found & _LOOKING_ALIKE
