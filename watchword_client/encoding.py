"""The encodings of JOSE: base64url without variants, and JSON without repeated members."""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def decode_base64url(text: str) -> bytes:
    """The bytes of base64url. Raises ValueError for padding, and for unused bits that are not zero."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode_base64url(raw) != text:
        raise ValueError("not the one spelling of these bytes")
    return raw


def strict_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, RecursionError.

    It refuses repeated members (RFC 8725 section 2.5, RFC 7515 section 4). It also refuses NaN and Infinity, which
    Python accepts, but which are not JSON (RFC 8259 section 6).
    """
    return _STRICT.decode(text)


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member is there twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


# Made once: `json.loads` would make it anew for each text.
_STRICT = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_no_constant)
