"""Accounts. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """An account, without its password.

    `email` is the primary address, in the form of server.emails.address.address_of. What stands here about it is a copy
    of its row in the table of addresses (server/emails/).
    """

    id: str
    username: str
    name: str
    role: str
    disabled_at: int | None
    created_at: int
    updated_at: int
    last_login_at: int | None
    email: str | None = None
    email_verified_at: int | None = None

    @property
    def disabled(self) -> bool:
        """Whether the account is switched off."""
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with the hash of the password.

    `password_hash` is None for an account without a password. `password_changed_at` identifies the current password: a
    reset token or a running login for an earlier one fails.
    """

    user: User
    password_hash: str | None
    password_changed_at: int


def new_account(
    *,
    user_id: str,
    username: str,
    name: str,
    role: str,
    password_hash: str | None,
    now: int,
    email: str | None = None,
    email_verified: bool = False,
) -> Credentials:
    """An account to be made, its username in the form of server.users.names.username_of.

    `email` is its primary address, in the form of server.emails.address.address_of.
    """
    user = User(
        id=user_id,
        username=username,
        name=name,
        role=role,
        disabled_at=None,
        created_at=now,
        updated_at=now,
        last_login_at=None,
        email=email,
        email_verified_at=now if email is not None and email_verified else None,
    )
    return Credentials(user, password_hash, now)


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list. None means: does not matter.

    `text` is looked for in username, name and primary address, in the form of users.names.search_form. `after_id` is
    the last id of the page before.
    """

    limit: int
    after_id: str | None = None
    text: str | None = None
    role: str | None = None
    disabled: bool | None = None
