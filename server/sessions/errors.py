"""The failures about ended sessions and wrong tokens."""

from __future__ import annotations

from collections.abc import Mapping

from server.core.errors import ApiError, Unauthorized
from server.sessions.model import RECENT_SECONDS

USER_DISABLED = "user_disabled"


class SessionConflict(ApiError):
    """Bearer token, cookie and body of a request belong to different sessions."""

    status = 400
    code = "session_conflict"
    title = "Two sessions in one request"
    default_detail = "The tokens of this request belong to different sessions. Send one of them."


class TokenRevoked(Unauthorized):
    """A genuine token whose session is over or whose role is out of date. `subject` is whose it is, for the log."""

    code = "token_revoked"
    title = "Token revoked"
    default_detail = "This access token is not valid any more. Refresh it, or log in again."

    def __init__(self, subject: str | None = None) -> None:
        super().__init__()
        self.subject = subject


class ReauthenticationRequired(Unauthorized):
    """The token is good, but its user has signed in too long ago for what was asked (RFC 9470)."""

    code = "reauthentication_required"
    title = "Recent sign-in required"
    default_detail = "You have signed in too long ago for this. Prove again who you are: POST /reauthenticate."

    def headers(self) -> Mapping[str, str]:
        """The challenge, with the age in seconds that a sign-in may have (RFC 9470 section 3)."""
        challenge = f'Bearer error="insufficient_user_authentication", max_age={RECENT_SECONDS}'
        return {"WWW-Authenticate": challenge}


class RefreshInvalid(Unauthorized):
    """Not a refresh token of a living session. If its user is disabled, the member `reason` is USER_DISABLED."""

    code = "refresh_invalid"
    title = "Invalid refresh token"
    default_detail = "The refresh token is not valid. Please log in again."


class RefreshExpired(Unauthorized):
    """The session was unused for too long, or has reached its greatest age."""

    code = "refresh_expired"
    title = "Session expired"
    default_detail = "Session expired. Please log in again."


class RefreshReused(Unauthorized):
    """A refresh token came back after its successor was used: the session is ended (RFC 9700 section 4.14.2)."""

    code = "refresh_reused"
    title = "Refresh token reused"
    default_detail = "This refresh token was used before, so its session was ended. Please log in again."
