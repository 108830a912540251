"""The failures of changes to addresses."""

from __future__ import annotations

from server.core.errors import ApiError


class EmailTaken(ApiError):
    """Another user has verified this address, or has it as the username."""

    status = 409
    code = "email_taken"
    title = "Address taken"
    default_detail = "This e-mail address belongs to another user."


class EmailNotVerified(ApiError):
    """Only a verified address can be the primary one."""

    status = 409
    code = "email_not_verified"
    title = "Address not verified"
    default_detail = "This e-mail address is not verified. Only a verified one can be the primary address."
