"""Bodies, queries and answers about accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from server.core.clock import rfc3339
from server.emails.address import ADDRESS_LENGTH, ADDRESS_RULE, address_of
from server.http.schemas import (
    CURSOR,
    NEXT_CURSOR,
    Answer,
    Cursor,
    Input,
    Limit,
    Password,
    RoleName,
    Timestamp,
    flag,
    one_line,
)
from server.users.model import User
from server.users.names import NAME_LENGTH, USERNAME_LENGTH, USERNAME_RULE, username_of

Username = Annotated[
    str,
    AfterValidator(username_of),
    Field(json_schema_extra={"minLength": 1, "maxLength": USERNAME_LENGTH}, examples=["lak"]),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_LENGTH), AfterValidator(one_line), Field(examples=["Lak"])
]

_ID = "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37"
_USERNAME = f"The name to log in with: {USERNAME_RULE}"
_GIVEN_EMAIL = f"The primary e-mail address, which counts as verified: {ADDRESS_RULE}"
_NAME = "The name to show to people"
_DISABLED = "Whether the user is shut out: no login, and all sessions ended"
_RESET = "wwp_AZqn0D8celix5G2cD1obNwAAAAGae3c"

NewPassword = Annotated[
    Password, Field(description="The rules for passwords hold", examples=["quiet lanterns drift past noon"])
]
Email = Annotated[
    str,
    AfterValidator(address_of),
    Field(json_schema_extra={"minLength": 3, "maxLength": ADDRESS_LENGTH}, examples=["lak@example.com"]),
]


class UserChangeBody(Input):
    """The fields that an admin may change. Absent fields stay as they are."""

    name: Name | None = Field(default=None, description=_NAME)
    role: RoleName | None = Field(default=None, description="One of the roles in the settings")
    disabled: bool | None = Field(default=None, description=_DISABLED)
    username: Username | None = Field(default=None, description=_USERNAME)
    email: Email | None = Field(default=None, description=f"{_GIVEN_EMAIL}; null takes the primary address away")


class ProfileBody(Input):
    """The fields that users may change in their own account."""

    name: Name = Field(description=_NAME)


class NewUserBody(Input):
    """A new account. Without a password the answer has a reset token, with which the user sets one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"username": "lak", "name": "Lak", "role": "customer"}]})

    username: Username = Field(description=_USERNAME)
    name: Name = Field(description=_NAME)
    role: RoleName = Field(description="One of the roles in the settings")
    password: Password | None = Field(default=None, description="The first password; the rules for passwords hold")
    email: Email | None = Field(default=None, description=_GIVEN_EMAIL)


class PasswordBody(Input):
    """The current password and the new one."""

    current_password: Password = Field(description="Proves that it is you")
    new_password: NewPassword


class UsersQuery(Input):
    """Filters of users, and the page."""

    limit: Limit = Field(default=50, description="How many users the page has at most")
    cursor: Cursor | None = Field(default=None, description=CURSOR)
    q: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)] | None = Field(
        default=None,
        description="A part of the username, the name or the primary address; case does not count",
        examples=["lak"],
    )
    role: RoleName | None = Field(default=None, description="Only users with this very role")
    disabled: Annotated[bool, BeforeValidator(flag)] | None = Field(
        default=None, description="Only disabled users, or only those who are not"
    )


class ResetTokenAnswer(Answer):
    """A token with which a new password can be set."""

    reset_token: str = Field(description="For `POST /password/reset`, once", examples=[_RESET])
    expires_in: int = Field(description="Seconds until the token expires", examples=[3600])


class UserAnswer(Answer):
    """A user."""

    id: str = Field(description="Stays the same for ever, `sub` in tokens", examples=[_ID])
    username: str = Field(description="The name to log in with", examples=["lak"])
    name: str = Field(description=_NAME, examples=["Lak"])
    email: str | None = Field(
        description="The primary e-mail address; null if there is none", examples=["lak@example.com"]
    )
    email_verified: bool = Field(description="Whether `email` is verified; then it is also a name to log in with")
    role: str = Field(description="Decides what the user may call", examples=["customer"])
    disabled: bool = Field(description=_DISABLED)
    created_at: Timestamp = Field(description="When the account was made")
    updated_at: Timestamp = Field(description="When the account was last changed")
    last_login_at: Timestamp | None = Field(description="The time of the last login; null before the first one")


class OneUserAnswer(Answer):
    """One user."""

    user: UserAnswer = Field(description="The user")


class NewUserAnswer(Answer):
    """The new user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"required": ["user"]})

    user: UserAnswer = Field(description="The new user")
    reset_token: str = Field(
        default="",
        description="For `POST /password/reset`, once; only if no password was given",
        examples=[_RESET],
    )


class UsersAnswer(Answer):
    """A page of users."""

    users: list[UserAnswer] = Field(description="The users of this page, in the order in which they were made")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=[None])


def user_json(user: User) -> Mapping[str, Any]:
    """A user in the form of UserAnswer. It is written by hand, since this is faster and runs often."""
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "role": user.role,
        "disabled": user.disabled_at is not None,
        "created_at": rfc3339(user.created_at),
        "updated_at": rfc3339(user.updated_at),
        "last_login_at": None if user.last_login_at is None else rfc3339(user.last_login_at),
    }
