"""Device cookies identify a device that has logged in to an account before, so strangers can't lock it out.

OWASP describes them in "Slow Down Online Guessing Attacks with Device Cookies". The cookie names the account and a
device, under a MAC. It is no credential: its holder still needs the password, but has attempts of their own.
"""

from __future__ import annotations

import struct

from server.core.ids import Ids, bytes_of_id, id_of_bytes
from server.core.opaque_tokens import Key, OpaqueTokens

_LAYOUT = struct.Struct(">16s16s")


class DeviceCookies:
    """Issues and reads the values of device cookies."""

    def __init__(self, key: Key, ids: Ids) -> None:
        self._tokens = OpaqueTokens(key, "wwd_")
        self._ids = ids

    def issue(self, user_id: str, device_id: str | None = None) -> str:
        """A cookie for the user and the device. Without a `device_id` it is a new device."""
        device = bytes_of_id(device_id or self._ids.new_id())
        return self._tokens.issue(_LAYOUT.pack(bytes_of_id(user_id), device))

    def is_genuine(self, cookie: str | None) -> bool:
        """Whether the cookie was issued here, for whatever user."""
        return cookie is not None and self._tokens.read(cookie) is not None

    def device_of(self, cookie: str | None, user_id: str) -> str | None:
        """The id of the device, if the cookie was issued for this user; otherwise None."""
        content = self._tokens.read(cookie) if cookie else None
        if content is None or len(content) != _LAYOUT.size:
            return None
        user, device = _LAYOUT.unpack(content)
        return id_of_bytes(device) if id_of_bytes(user) == user_id else None
