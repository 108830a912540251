"""E-mail addresses and what they are compared by: one place, for every entry.

email-validator decides what an address is (RFC 5321 and 6531, without quoted local parts and literal IP addresses; IDNA
for the domain). Nothing is looked up in the DNS. As in usernames, no part may mix letters of scripts that look alike.

Two addresses are the same if their keys are: the local part without case, width and compatibility forms, the domain in
its A-label form. Mail servers may tell "Lak" from "lak" (RFC 5321 section 2.4), but none is known that has both.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

from server.users.names import scripts_looking_alike, username_key

# In bytes of UTF-8, the domain in its A-label form (RFC 5321 section 4.5.3.1.3).
ADDRESS_LENGTH = 254
# Of a part of a domain in its A-label form (RFC 1035 section 2.3.4), which is never shorter than the U-label.
_LABEL_LENGTH = 63
ADDRESS_RULE = f"an address like lak@example.com, at most {ADDRESS_LENGTH} characters"
# An import asks for the keys of its accounts several times, also while it keeps others from writing. Two batches.
_REMEMBERED = 1000


class AddressKeys(NamedTuple):
    """What an address is compared by: with other addresses, and with usernames.

    `name` is the key of a username that is spelled like the address; only a domain with other letters than those of
    ASCII makes it differ.
    """

    email: str
    name: str


def address_of(text: str) -> str:
    """The form in which an address is kept and shown: the domain in small letters, in its U-label form.

    Raises ValueError, which says what is wrong with it.
    """
    return _parsed(text)[0]


@lru_cache(_REMEMBERED)
def address_keys(text: str) -> AddressKeys:
    """The keys of an address. Raises ValueError."""
    address, key = _parsed(text)
    return AddressKeys(key, username_key(address) or key)


def address_key(text: str) -> str | None:
    """The key of what somebody types to sign in; None if it is no address."""
    if "@" not in text:
        return None
    try:
        return _parsed(text)[1]
    except ValueError:
        return None


def throttle_name(text: str) -> str:
    """What attempts at a name are counted by. It may be a username, an address, or neither.

    An address is one name however it is spelled, also one that nobody has. If each spelling of those were counted for
    itself, two of them would tell whether the address is somebody's.
    """
    name = username_key(text) or text
    return address_key(name) or name


def check_spelling(username: str) -> None:
    """Raise ValueError for a new username that is another spelling of an address.

    A domain has two forms, with xn-- and without. A name that mixes both would be compared with no address.
    """
    key = username_key(username)
    if key is None or "@" not in key:
        return
    try:
        keys = address_keys(key)
    except ValueError:
        return
    if key not in keys:
        raise ValueError(f"Write this address as {address_of(key)}")


@lru_cache(_REMEMBERED)
def _parsed(text: str) -> tuple[str, str]:
    """The address and its key."""
    # Longer text is refused here, since the parser takes its time for it.
    if len(text) > ADDRESS_LENGTH:
        raise ValueError(f"Use at most {ADDRESS_LENGTH} characters")
    # Punycode takes the square of the length, 10 ms for 240 characters, and anybody may send that as a username.
    if any(len(label) > _LABEL_LENGTH for label in text.rpartition("@")[2].split(".")):
        raise ValueError(f"Use at most {_LABEL_LENGTH} characters between two dots of a domain")
    try:
        found = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(str(error).removesuffix(".")) from None
    # Mail programs, Python's among them, take it for an encoded word (RFC 2047). That may hold a line break (CWE-93).
    if "=?" in found.local_part:
        raise ValueError("The characters =? can't be in front of the @")
    for part in (found.local_part, *found.domain.split(".")):
        if len(scripts_looking_alike(part)) > 1:
            raise ValueError("Use letters of one script: these have letters that look alike")
    local = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", found.local_part).lower())
    key = f"{local}@{found.ascii_domain}"
    # Compatibility forms may stand for many characters.
    if len(key) > ADDRESS_LENGTH:
        raise ValueError(f"Use at most {ADDRESS_LENGTH} characters")
    return found.normalized, key
