"""The failures of signing in."""

from __future__ import annotations

from server.core.errors import ApiError, TryLater


class InvalidCredentials(ApiError):
    """Unknown user, disabled user or wrong password: one answer for all three."""

    status = 400
    code = "invalid_credentials"
    title = "Invalid credentials"
    default_detail = "Invalid username or password"


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
