"""The failures of changes to accounts."""

from __future__ import annotations

from server.core.errors import ApiError


class InvalidResetToken(ApiError):
    """The reset token is unknown, used or expired."""

    status = 400
    code = "reset_invalid"
    title = "Invalid reset token"
    default_detail = "This reset token is not valid any more. Ask for a new one."


class UsernameTaken(ApiError):
    """Another user has this name (case does not count)."""

    status = 409
    code = "username_taken"
    title = "Username taken"
    default_detail = "This username is taken."


class LastAdmin(ApiError):
    """The change would leave no enabled user with the role admin."""

    status = 409
    code = "last_admin"
    title = "Last admin"
    default_detail = "This is the last enabled admin. Make another one first."
