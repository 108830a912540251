"""Cursors say where the next page of a list begins. Clients treat them as opaque."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from server.core.errors import InvalidRequest
from watchword_client.encoding import decode_base64url, encode_base64url

Entry = TypeVar("Entry")
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


def page_of(
    found: Sequence[Entry], limit: int, position: Callable[[Entry], str | int]
) -> tuple[Sequence[Entry], str | None]:
    """At most `limit` entries, and the cursor of the next page; None if this is the last one.

    `found` was read with a limit that is one higher, which shows whether there is a next page.
    """
    page = found[:limit]
    return page, cursor_of(position(page[-1])) if len(found) > limit else None
