"""Converts an account to a row and back. It has the only list of columns.

A column is a field of model.User with its name. SELECT, INSERT (also of an import) and UPDATE follow from that.
transfer/row.py names what is exported and imported, schemas.py what is shown, audit_notes.py what the audit log says.

The username and the addresses are unique, and are written by statements of their own: `UserRepository.rename` and
server/emails/repository.py. `email` and `email_verified_at` are copies of the primary address.
"""

from __future__ import annotations

from dataclasses import fields
from operator import itemgetter
from typing import Any

from server.database.driver import Row
from server.emails.address import address_keys
from server.users.model import Credentials, User
from server.users.names import search_form, username_key

_USER_COLUMNS = tuple(field.name for field in fields(User))
_user_values = itemgetter(*_USER_COLUMNS)
_CHANGING = tuple(column for column in _USER_COLUMNS if column not in {"id", "username", "created_at", "last_login_at"})

# To select a User, and Credentials.
USER = ", ".join(_USER_COLUMNS)
CREDENTIALS = f"{USER}, password_hash, password_changed_at"
# To insert an account, with `inserted_values`.
INSERTED = (*_USER_COLUMNS, "username_key", "search_text", "password_hash", "password_changed_at")
# To update an account, with `updated_values`; the id is for the condition.
UPDATED = (*_CHANGING, "search_text", "id")

# Of a row of users: it has registered and has to confirm an address before the first sign-in. A program that knows no
# such accounts may verify the address and leave the row of unconfirmed_users.
UNCONFIRMED = (
    "(users.email_verified_at IS NULL "
    "AND EXISTS (SELECT 1 FROM unconfirmed_users WHERE unconfirmed_users.user_id = users.id))"
)


def user_of(row: Row) -> User:
    """From a row that has the columns of USER."""
    return User(*_user_values(row))


def credentials_of(row: Row) -> Credentials:
    """From a row that has the columns of CREDENTIALS."""
    return Credentials(user_of(row), row["password_hash"], row["password_changed_at"])


def inserted_values(new: Credentials) -> tuple[Any, ...]:
    """The values in the order of INSERTED. Raises ValueError for an invalid username; callers check it before."""
    user = new.user
    return (
        *(getattr(user, column) for column in _USER_COLUMNS),
        key_of(user.username),
        search_text(user),
        new.password_hash,
        new.password_changed_at,
    )


def updated_values(user: User) -> tuple[Any, ...]:
    """The values in the order of UPDATED."""
    return (*(getattr(user, column) for column in _CHANGING), search_text(user), user.id)


def key_of(username: str) -> str:
    """The unique key of a username. Raises ValueError for an invalid one; callers check it before."""
    key = username_key(username)
    if key is None:
        raise ValueError(f"{username!r} is no username; ask server.users.names.username_of first")
    return key


def names_of(new: Credentials) -> set[str]:
    """The keys by which the user of a new account would sign in: of the username, and of the address if it is verified.

    Raises ValueError for invalid ones; callers check them before.
    """
    user = new.user
    verified = [] if user.email is None or user.email_verified_at is None else address_keys(user.email)
    return {key_of(user.username), *verified}


def search_text(user: User) -> str:
    """The text that searches look through, in one normal form, so both databases find the same.

    A program of the previous version writes it without the address, until this one changes the user the next time.
    """
    # The name comes last: in this form it may be so long that what follows is cut.
    return search_form("\n".join(filter(None, (user.username, user.email, user.name))))
