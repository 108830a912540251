"""Bodies, queries and answers about sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, StringConstraints

from server.core.clock import rfc3339
from server.http.schemas import (
    Answer,
    Input,
    OpaqueToken,
    Password,
    RoleName,
    Timestamp,
)
from server.sessions.model import Session


class LoginBody(Input):
    """Credentials. With `cookie` true the refresh token is kept in a cookie, for browsers."""

    username: Annotated[str, StringConstraints(max_length=320)]
    password: Password
    cookie: bool = False


class RefreshBody(Input):
    """A refresh token. A browser that has it in a cookie sends no body."""

    refresh_token: OpaqueToken | None = None


class VerifyQuery(Input):
    """A role that the caller has to have."""

    role: RoleName | None = None


class TokenAnswer(Answer):
    """Tokens of a session (RFC 6749 section 5.1, with `token` for the access token).

    In browser mode the refresh token is in the cookie, and the two members about it are absent.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["token", "token_type", "expires_in"]})

    token: str
    token_type: Literal["Bearer"]
    expires_in: int
    refresh_token: str = ""
    refresh_expires_in: int = 0


class SessionAnswer(Answer):
    """A login. `ip` and `last_used_at` are those of the last refresh, `user_agent` is that of the login.

    `expires_at` moves with each refresh. `current` is true for the session of the token in this request.
    """

    id: str
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    ip: str | None
    user_agent: str | None
    current: bool


class SessionsAnswer(Answer):
    """A page of the living sessions of a user, the newest first. On the last page `next_cursor` is null."""

    sessions: list[SessionAnswer]
    next_cursor: str | None


def session_json(session: Session, current_session_id: str | None) -> Mapping[str, Any]:
    """A session in the form of SessionAnswer."""
    return {
        "id": session.id,
        "created_at": rfc3339(session.created_at),
        "last_used_at": rfc3339(session.stepped_at),
        "expires_at": rfc3339(session.idle_expires_at),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "current": session.id == current_session_id,
    }
