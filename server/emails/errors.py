"""The failures of changes to addresses."""

from __future__ import annotations

from server.core.errors import ApiError


class EmailTaken(ApiError):
    """Another user has verified this address, or has it as the username."""

    status = 409
    code = "email_taken"
    title = "Address taken"
    default_detail = "This e-mail address belongs to another user."


class TooManyEmails(ApiError):
    """The user has as many addresses as users can add."""

    status = 409
    code = "too_many_emails"
    title = "Too many addresses"
    default_detail = "This account has 10 e-mail addresses already. Remove one first."


class EmailAlreadyVerified(ApiError):
    """There is nothing to confirm."""

    status = 409
    code = "email_already_verified"
    title = "Address already verified"
    default_detail = "This e-mail address is verified already."


class ConfirmationInvalid(ApiError):
    """The token of the link is unknown, used or expired, or the address was removed meanwhile."""

    status = 400
    code = "confirmation_invalid"
    title = "Invalid confirmation"
    default_detail = "This link was used, has expired, or is for an address that was removed. Ask for a new mail."


class EmailNotVerified(ApiError):
    """Only a verified address can be the primary one."""

    status = 409
    code = "email_not_verified"
    title = "Address not verified"
    default_detail = "This e-mail address is not verified. Only a verified one can be the primary address."
