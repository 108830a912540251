"""Base64 in password hashes, mostly without padding (RFC 4648; PHC string format)."""

from __future__ import annotations

import base64

# A part of regular expressions: base64 in the usual alphabet, without padding.
BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3})?"


def decoded(text: str) -> bytes:
    """Base64 in either alphabet, with or without padding. Raises ValueError."""
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        raise ValueError("not base64") from None


def encoded(data: bytes) -> str:
    """Base64 in the usual alphabet, without padding."""
    return base64.b64encode(data).decode("ascii").rstrip("=")
