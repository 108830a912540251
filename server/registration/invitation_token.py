"""Invitation tokens: the id of an invitation under a MAC.

The store has the invitation, and nothing that the token could be made of. So who reads the store can use none.
"""

from __future__ import annotations

from server.core.ids import bytes_of_id, id_of_bytes
from server.core.opaque_tokens import Key, OpaqueTokens

_ID_BYTES = 16


class InvitationTokens:
    """Issues and reads invitation tokens."""

    def __init__(self, key: Key) -> None:
        self._tokens = OpaqueTokens(key, "wwi_")

    def issue(self, invitation_id: str) -> str:
        """The token to hand over. It is always the same for an invitation."""
        return self._tokens.issue(bytes_of_id(invitation_id))

    def read(self, token: str) -> str | None:
        """The id of the invitation; None for anything that was not issued here."""
        content = self._tokens.read(token)
        return id_of_bytes(content) if content is not None and len(content) == _ID_BYTES else None
