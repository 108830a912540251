"""Bodies, queries and answers about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from server.core.clock import rfc3339
from server.http.schemas import (
    Answer,
    Input,
    OpaqueToken,
    Password,
    RoleName,
    Timestamp,
    flag,
    number,
    one_line,
)
from server.users.model import User
from server.users.names import NAME_LENGTH, USERNAME_LENGTH, USERNAME_RULE, username_of

Username = Annotated[
    str,
    AfterValidator(username_of),
    Field(json_schema_extra={"minLength": 1, "maxLength": USERNAME_LENGTH, "description": USERNAME_RULE}),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH), AfterValidator(one_line)]


class UserChangeBody(Input):
    """The fields that an admin may change. Absent fields stay as they are."""

    name: Name | None = None
    role: RoleName | None = None
    disabled: bool | None = None


class ProfileBody(Input):
    """The fields that users may change in their own account."""

    name: Name


class NewUserBody(Input):
    """A new account. Without a password the answer has a reset token, with which the user sets one."""

    username: Username
    name: Name
    role: RoleName
    password: Password | None = None


class PasswordResetBody(Input):
    """A reset token and the new password."""

    reset_token: OpaqueToken
    new_password: Password


class PasswordBody(Input):
    """The current password and the new one."""

    current_password: Password
    new_password: Password


class UsersQuery(Input):
    """Filters of users, and the page."""

    limit: Annotated[int, BeforeValidator(number), Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    q: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)] | None = None
    role: RoleName | None = None
    disabled: Annotated[bool, BeforeValidator(flag)] | None = None


class ResetTokenAnswer(Answer):
    """A token with which a new password can be set."""

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
    """The new user. There is a `reset_token` only if no password was given."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["user"]})

    user: UserAnswer
    reset_token: str = ""


class UsersAnswer(Answer):
    """A page of users. On the last page `next_cursor` is null."""

    users: list[UserAnswer]
    next_cursor: str | None


def user_json(user: User) -> Mapping[str, Any]:
    """A user in the form of UserAnswer. It is written by hand, since this is faster and runs often."""
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
