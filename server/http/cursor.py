"""Cursors say where the next page of a list begins. Clients treat them as opaque."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from server.core.errors import InvalidRequest
from watchword_client.encoding import decode_base64url, encode_base64url

Position = TypeVar("Position")


def cursor_of(position: str | int) -> str:
    """The cursor of the page after this entry, which is given by its id or number."""
    return encode_base64url(str(position).encode())


def position_of(cursor: str | None, read: Callable[[str], Position | None]) -> Position | None:
    """The id or number in a cursor, converted by `read`; None without a cursor. Raises InvalidRequest."""
    if cursor is None:
        return None
    try:
        found = read(decode_base64url(cursor).decode("ascii"))
    except ValueError:
        found = None
    if found is None:
        raise InvalidRequest([("cursor", "This is not a cursor of this list.")])
    return found
