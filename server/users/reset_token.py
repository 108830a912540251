"""Password reset tokens: user, expiry, and the state of the password that they may replace.

Nothing is stored: once the password was changed, by this token or otherwise, `password_changed_at` differs and the
token is dead. That makes it single-use.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.core.ids import bytes_of_id, id_of_bytes
from server.core.opaque_tokens import Key, OpaqueTokens

_LAYOUT = struct.Struct(">16sQQ")


@dataclass(frozen=True, slots=True)
class ResetToken:
    """The content of a reset token. Times are epoch milliseconds."""

    user_id: str
    expires_at: int
    password_changed_at: int


class ResetTokens:
    """Issues and reads reset tokens."""

    def __init__(self, key: Key) -> None:
        self._tokens = OpaqueTokens(key, "wwp_")

    def issue(self, content: ResetToken) -> str:
        """The token to hand to the user."""
        user = bytes_of_id(content.user_id)
        return self._tokens.issue(_LAYOUT.pack(user, content.expires_at, content.password_changed_at))

    def read(self, token: str) -> ResetToken | None:
        """The content; None for anything that was not issued here."""
        content = self._tokens.read(token)
        if content is None or len(content) != _LAYOUT.size:
            return None
        user, expires_at, password_changed_at = _LAYOUT.unpack(content)
        return ResetToken(id_of_bytes(user), expires_at, password_changed_at)
