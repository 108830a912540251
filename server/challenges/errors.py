"""What challenges refuse."""

from __future__ import annotations

from server.core.errors import ApiError, WatchwordError


class LinkInvalid(WatchwordError):
    """The token of the link is unknown, used, expired, or for something else. Each caller has its own answer for it."""


class CodeInvalid(ApiError):
    """The code is wrong, used or expired, or too many wrong ones came before it: one answer for all.

    `user_id` is whose challenge it was meant for, for the audit log alone. Without the link it is told once, with the
    last code that is looked at.
    """

    status = 400
    code = "code_invalid"
    title = "Invalid code"
    default_detail = "This code is wrong or no longer valid. Ask for a new mail if you need another one."

    def __init__(self, user_id: str | None = None) -> None:
        super().__init__()
        self.user_id = user_id


class CodeRequired(ApiError):
    """The token is good, but another browser has asked for the mail, or none."""

    status = 403
    code = "code_required"
    title = "Code required"
    default_detail = "The link works alone only in the browser that asked for it. Enter the code of the same mail here."
