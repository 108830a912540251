"""Bodies, queries and answers about sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from server.core.clock import rfc3339
from server.http.schemas import (
    NEXT_CURSOR,
    Answer,
    Input,
    OpaqueToken,
    Password,
    RoleName,
    Timestamp,
)
from server.sessions.model import Session

_ID = "019aa7d1-5b0e-7c42-9d35-8e1f6a2b7c90"
_ACCESS = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTlhYTdkMCJ9.c2lnbmF0dXJl"
_REFRESH = "wwr_AZqn0VsOfEKdNY4fait8kAAAAAHvT2m9"


class LoginBody(Input):
    """Credentials."""

    username: Annotated[str, StringConstraints(max_length=320)] = Field(
        description="The name of the account; case does not count", examples=["lak"]
    )
    password: Password = Field(description="The password of the account")
    cookie: bool = Field(
        default=False, description="True: the refresh token goes into a cookie that no script can read, for browsers"
    )


class RefreshBody(Input):
    """A refresh token. A browser that has it in a cookie sends no body."""

    refresh_token: OpaqueToken | None = Field(
        default=None,
        description="The latest refresh token of the session; without it the cookie counts",
        examples=[_REFRESH],
    )


class ReauthenticationBody(Input):
    """The password of the caller."""

    password: Password = Field(description="The password of the account that is logged in")


class VerifyQuery(Input):
    """A role that the caller has to have."""

    role: RoleName | None = Field(default=None, description="The role that the caller needs, or one that includes it")


class TokenAnswer(Answer):
    """Tokens of a session (RFC 6749 section 5.1, with `token` for the access token).

    In browser mode the refresh token is in the cookie, and the two members about it are absent.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["token", "token_type", "expires_in"]})

    token: str = Field(description="The access token, for the header `Authorization: Bearer …`", examples=[_ACCESS])
    token_type: Literal["Bearer"] = Field(description="How the token is sent (RFC 6750)")
    expires_in: int = Field(description="Seconds until the access token expires", examples=[900])
    refresh_token: str = Field(
        default="", description="Gets new tokens, once; absent if it is in the cookie", examples=[_REFRESH]
    )
    refresh_expires_in: int = Field(
        default=0, description="Seconds until the refresh token expires, if it is not used", examples=[1209600]
    )


class AccessTokenAnswer(Answer):
    """A new access token of the same session, whose refresh token goes on."""

    token: str = Field(description="The access token, for the header `Authorization: Bearer …`", examples=[_ACCESS])
    token_type: Literal["Bearer"] = Field(description="How the token is sent (RFC 6750)")
    expires_in: int = Field(description="Seconds until the access token expires", examples=[300])


class SessionAnswer(Answer):
    """A login on one device, and the refreshes that followed it."""

    id: str = Field(description="The id of the session, `sid` in its tokens", examples=[_ID])
    created_at: Timestamp = Field(description="The time of the login")
    last_used_at: Timestamp = Field(description="The time of the last refresh, or of the login")
    expires_at: Timestamp = Field(description="When it ends if it is not used; each refresh moves this time")
    ip: str | None = Field(description="The address of the client at the last refresh", examples=["203.0.113.7"])
    user_agent: str | None = Field(description="What the client said it is, at the login", examples=["curl/8.14.1"])
    auth_time: Timestamp = Field(description="When the user has proved who they are, the last time")
    amr: list[str] = Field(
        description="By which methods (RFC 8176): `pwd` is a password, `otp` a mailed code", examples=[["pwd"]]
    )
    current: bool = Field(description="Whether it is the session of the token in this request", examples=[True])


class SessionsAnswer(Answer):
    """A page of the living sessions of a user, the newest first."""

    sessions: list[SessionAnswer] = Field(description="The sessions of this page")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=[None])


def session_json(session: Session, current_session_id: str | None) -> Mapping[str, Any]:
    """A session in the form of SessionAnswer."""
    return {
        "id": session.id,
        "created_at": rfc3339(session.created_at),
        "last_used_at": rfc3339(session.stepped_at),
        "expires_at": rfc3339(session.idle_expires_at),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "auth_time": rfc3339(session.authenticated_at),
        "amr": session.amr,
        "current": session.id == current_session_id,
    }
