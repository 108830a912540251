"""The failures of signing in."""

from __future__ import annotations

from server.core.errors import ApiError, TryLater


class InvalidCredentials(ApiError):
    """Unknown user, disabled user or wrong password: one answer for all three."""

    status = 400
    code = "invalid_credentials"
    title = "Invalid credentials"
    default_detail = "Invalid username or password"


class EmailNotConfirmed(ApiError):
    """The account has registered with an address that it has to confirm first. Only who knows the password hears it."""

    status = 403
    code = "email_not_confirmed"
    title = "Address not confirmed"
    default_detail = (
        "Confirm your email address first, by the link or the code that was mailed to it. If there is no such mail, "
        "look among the unwanted ones, or ask an admin."
    )


class ChangedMeanwhile(Exception):
    """The user was disabled, or the password changed, since the credentials were read."""


class TooManyAttempts(TryLater):
    """Too many wrong passwords, of this account, from this address or in all. This password was not checked."""

    status = 429
    code = "too_many_attempts"
    title = "Too many attempts"
    default_detail = (
        "Too many attempts. Wait a while, log in where you have logged in before, or have the password reset."
    )
