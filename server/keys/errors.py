"""Why the keys are not changed as somebody asked."""

from __future__ import annotations

from server.core.clock import rfc3339
from server.core.errors import ApiError


class RotationUnderWay(ApiError):
    """The last rotation has not ended: its key does not sign before `at` (epoch ms)."""

    status = 409
    code = "rotation_under_way"
    title = "Rotation under way"
    default_detail = "The last rotation has not ended: its key does not sign yet."

    def __init__(self, at: int) -> None:
        super().__init__(
            f"A rotation is under way: the next key signs from {rfc3339(at)} on, when every cache of the JWKS knows it."
        )
        self.at = at


class KeysInSettings(ApiError):
    """The key is a secret of HS256. Those are in the settings, and only there they can be changed."""

    status = 409
    code = "keys_in_settings"
    title = "Keys are in the settings"
    default_detail = "With HS256 the secrets are in the settings: put a new one first in tokens.secret."
