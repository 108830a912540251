"""Refresh tokens: the session's id, a step of its chain, and a MAC over both.

The store holds the number of the step that is unused. So a session stays one row however often it is refreshed, the
store never holds a usable token, and the successor of a used token can be derived again for a client that lost the
answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.core.ids import bytes_of_id, id_of_bytes
from server.core.opaque_tokens import Key, OpaqueTokens

_LAYOUT = struct.Struct(">16sQ")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """The content of a refresh token."""

    session_id: str
    step: int


class RefreshTokens:
    """Issues and reads refresh tokens."""

    def __init__(self, key: Key) -> None:
        self._tokens = OpaqueTokens(key, "wwr_")

    def issue(self, session_id: str, step: int) -> str:
        """The token of a step. It is always the same for a step."""
        return self._tokens.issue(_LAYOUT.pack(bytes_of_id(session_id), step))

    def read(self, token: str) -> RefreshToken | None:
        """The content; None for anything that was not issued here."""
        content = self._tokens.read(token)
        if content is None or len(content) != _LAYOUT.size:
            return None
        session, step = _LAYOUT.unpack(content)
        return RefreshToken(id_of_bytes(session), step)
