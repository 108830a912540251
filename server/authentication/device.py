"""Device marks: who has logged in to an account before is known by one, and not held up by strangers' guesses.

As OWASP describes device cookies: the mark names the account and a device, under a MAC. It is no credential: whoever
has it still needs the password, and may try a few while strangers may not.
"""

from __future__ import annotations

import struct
import uuid

from server.core.ids import Ids
from server.keys.opaque import Key, OpaqueTokens

_LAYOUT = struct.Struct(">16s16s")


class DeviceMarks:
    """Issues and reads device marks."""

    def __init__(self, key: Key, ids: Ids) -> None:
        self._tokens = OpaqueTokens(key, "wwd_")
        self._ids = ids

    def issue(self, user_id: str, device_id: str | None = None) -> str:
        """The mark of a device for that user; of a new device, if none is named."""
        device = uuid.UUID(device_id or self._ids.new_id())
        return self._tokens.issue(_LAYOUT.pack(uuid.UUID(user_id).bytes, device.bytes))

    def device_of(self, mark: str | None, user_id: str) -> str | None:
        """The id of the device, if it is a mark for that user; None for anything else."""
        content = self._tokens.read(mark) if mark else None
        if content is None or len(content) != _LAYOUT.size:
            return None
        user, device = _LAYOUT.unpack(content)
        return str(uuid.UUID(bytes=device)) if str(uuid.UUID(bytes=user)) == user_id else None
