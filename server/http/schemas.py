"""The shapes of bodies, queries and answers. Requests are checked by these models; OpenAPI is generated from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from server.core.clock import rfc3339
from server.users.model import NAME_LENGTH, is_displayable
from server.users.names import USERNAME_LENGTH, USERNAME_RULE, username_of
from server.users.records import Session, User


def one_line(text: str) -> str:
    """The text. Raises ValueError for what is no line to show."""
    if not is_displayable(text):
        raise ValueError("Control characters and line breaks are not allowed")
    return text


def _flag(value: object) -> object:
    """A query says true or false in words."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def number(value: object) -> object:
    """A query is text; plain ASCII digits are a number, anything else is left for the model to refuse."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


Username = Annotated[
    str,
    AfterValidator(username_of),
    Field(json_schema_extra={"minLength": 1, "maxLength": USERNAME_LENGTH, "description": USERNAME_RULE}),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH), AfterValidator(one_line)]
RoleName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Password = Annotated[str, StringConstraints(max_length=4096)]
OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Input(BaseModel):
    """What a client sends: exact types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class LoginBody(Input):
    """Credentials. `cookie`: keep the refresh token in a cookie, for browsers."""

    username: Annotated[str, StringConstraints(max_length=320)]
    password: Password
    cookie: bool = False


class RefreshBody(Input):
    """A refresh token; a browser has it in its cookie and sends no body."""

    refresh_token: OpaqueToken | None = None


class PasswordBody(Input):
    """The current password and the new one."""

    current_password: Password
    new_password: Password


class UserChangeBody(Input):
    """What an admin may change; what is absent stays."""

    name: Name | None = None
    role: RoleName | None = None
    disabled: bool | None = None


class ProfileBody(Input):
    """What a user may change of their own account."""

    name: Name


class NewUserBody(Input):
    """An account to be made. Without a password the answer carries a reset token to set one."""

    username: Username
    name: Name
    role: RoleName
    password: Password | None = None


class PasswordResetBody(Input):
    """A reset token and the new password."""

    reset_token: OpaqueToken
    new_password: Password


class PageQuery(Input):
    """Which page of a list. `limit` is how many entries it has at most."""

    limit: Annotated[int, BeforeValidator(number), Field(ge=1, le=1000)] = 1000
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None


class InspectionBody(Input):
    """A token to look into."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=16384)]


class UsersQuery(Input):
    """Which users, and which page of them."""

    limit: Annotated[int, BeforeValidator(number), Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    q: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)] | None = None
    role: RoleName | None = None
    disabled: Annotated[bool, BeforeValidator(_flag)] | None = None


class VerifyQuery(Input):
    """A role that the caller has to have."""

    role: RoleName | None = None


class Answer(BaseModel):
    """What the server sends: just these fields."""

    model_config = ConfigDict(extra="forbid")


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
    """A login. `ip` and `last_used_at` are of the last refresh, `user_agent` is of the login.

    `expires_at` moves with each refresh; `current`: the session of the token that asks.
    """

    id: str
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    ip: str | None
    user_agent: str | None
    current: bool


class SessionsAnswer(Answer):
    """A page of the living sessions of a user, the newest first. `next_cursor` null: this was the last page."""

    sessions: list[SessionAnswer]
    next_cursor: str | None


class ResetTokenAnswer(Answer):
    """A token to set a new password with."""

    reset_token: str
    expires_in: int


class UserAnswer(Answer):
    """A user."""

    id: str
    username: str
    name: str
    role: str
    disabled: bool
    created_at: Timestamp
    updated_at: Timestamp
    last_login_at: Timestamp | None


class OneUserAnswer(Answer):
    """One user."""

    user: UserAnswer


class NewUserAnswer(Answer):
    """The user made; `reset_token` only if no password was given."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["user"]})

    user: UserAnswer
    reset_token: str = ""


class UsersAnswer(Answer):
    """A page of users. `next_cursor` null: this was the last page."""

    users: list[UserAnswer]
    next_cursor: str | None


class RouteAnswer(Answer):
    """A row of the role table."""

    method: str
    path: str
    access: str
    roles: list[str]
    overridden: bool


class RoutesAnswer(Answer):
    """The effective role table."""

    routes: list[RouteAnswer]


class InspectedTime(Answer):
    """A time among the claims, and how far away it is."""

    claim: str
    at: Timestamp
    words: str


class InspectedSignature(Answer):
    """Whether the signature holds. `kid` is what the header names, the rest is what is known of that key.

    `valid` null: there is no such key to check it by.
    """

    valid: bool | None
    kid: str | None
    algorithm: str | None
    key_state: Literal["next", "active", "retired", "revoked"] | None


class InspectedRoute(Answer):
    """A route that the holder of the token may call."""

    method: str
    path: str
    summary: str
    access: str


class InspectionAnswer(Answer):
    """A token, taken apart. `reasons`: why it is refused; `routes` only for a token that is accepted.

    `now` is the server's clock, by which `exp` is judged. Header and claims are as the token has them; what JSON can't
    say again is told in words.
    """

    verdict: Literal["accepted", "token_invalid", "token_expired", "token_revoked"]
    reasons: list[str]
    now: Timestamp
    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    times: list[InspectedTime]
    signature: InspectedSignature
    routes: list[InspectedRoute]


class HealthAnswer(Answer):
    """The server is well."""

    status: Literal["ok"]


class JwksAnswer(BaseModel):
    """A JWK Set (RFC 7517 section 5)."""

    keys: list[dict[str, Any]]


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """A failure (RFC 9457). `code` is stable; `errors` goes with 422, `required` and `role` with 403."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | None = Field(default=None)


def user_json(user: User) -> Mapping[str, Any]:
    """A user as UserAnswer; written out, since this is on the hot path."""
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "role": user.role,
        "disabled": user.disabled_at is not None,
        "created_at": rfc3339(user.created_at),
        "updated_at": rfc3339(user.updated_at),
        "last_login_at": None if user.last_login_at is None else rfc3339(user.last_login_at),
    }


def session_json(session: Session, current_session_id: str) -> Mapping[str, Any]:
    """A session as SessionAnswer."""
    return {
        "id": session.id,
        "created_at": rfc3339(session.created_at),
        "last_used_at": rfc3339(session.stepped_at),
        "expires_at": rfc3339(session.idle_expires_at),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "current": session.id == current_session_id,
    }
