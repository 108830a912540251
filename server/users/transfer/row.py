"""Checks a record of a file, and converts it to an account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.core.clock import read_rfc3339
from server.core.ids import derived_id, id_in, made_at
from server.core.text import is_displayable
from server.emails.address import address_of, check_spelling
from server.passwords.foreign import cost_problem
from server.users.model import Credentials, User
from server.users.names import NAME_LENGTH, username_of
from watchword_client.access import Roles

COLUMNS = (
    "id",
    "username",
    "name",
    "email",
    "email_verified",
    "role",
    "password_hash",
    "disabled",
    "created_at",
    "updated_at",
    "last_login_at",
    "disabled_at",
)
# A time may be this far in the future, because the clocks of two machines differ.
_FUTURE_MS = 86_400_000


class RowRefused(Exception):
    """A record is not a valid account. The message is the reason, and has no unprintable text of the file."""


@dataclass(frozen=True, slots=True)
class ImportedAccount:
    """An account to import.

    `derived`: the end of its id is derived from the rest of the record, so the same record gives the same end. `dated`:
    the record says when the account was made.
    """

    credentials: Credentials
    derived: bool
    dated: bool


def read_row(fields: Mapping[str, Any], *, roles: Roles, role: str | None, now: int) -> ImportedAccount:
    """Check a record. `role` is for a record that names none. Raises RowRefused."""
    _check_columns(fields)
    username = _text(fields, "username")
    if username is None:
        raise RowRefused("no username")
    try:
        check_spelling(username)
        username = username_of(username)
    except ValueError as error:
        raise RowRefused(f"the username is not one that is allowed here: {error}") from None
    name = _text(fields, "name") or username
    if not is_displayable(name) or len(name) > NAME_LENGTH:
        raise RowRefused(f"the name has more than {NAME_LENGTH} characters, or line breaks or other controls")
    role = _text(fields, "role") or role
    if role is None or role not in roles:
        wanted = "no role; --role gives one to those without" if role is None else f"there is no role {role[:64]!a}"
        raise RowRefused(f"{wanted}; roles: {', '.join(roles.names())}")
    email, email_verified = _email(fields)
    times = {column: _time(fields, column, now) for column in COLUMNS if column.endswith("_at")}
    created_at, updated_at = times["created_at"], times["updated_at"]
    user = User(
        id=_id(fields),
        username=username,
        name=name,
        role=role,
        disabled_at=_disabled_at(fields, times["disabled_at"], now),
        created_at=now if created_at is None else created_at,
        updated_at=now if updated_at is None else updated_at,
        last_login_at=times["last_login_at"],
        email=email,
        email_verified_at=now if email_verified else None,
    )
    password_hash = _password_hash(fields)
    derived = not user.id
    if derived:
        user = replace(user, id=_derived_id(user, password_hash, created_at))
    # The password counts as set now, so a reset token from the system that made the file is not valid here.
    return ImportedAccount(Credentials(user, password_hash, now), derived, created_at is not None)


def _check_columns(fields: Mapping[str, Any]) -> None:
    if "password" in fields:
        raise RowRefused("passwords are not taken, only their hashes: password_hash")
    for column in fields:
        if column not in COLUMNS:
            raise RowRefused(f"there is no column {column[:64]!a}; there are {', '.join(COLUMNS)}")


def _text(fields: Mapping[str, Any], column: str) -> str | None:
    value = fields.get(column)
    if value is not None and not isinstance(value, str):
        raise RowRefused(f"{column} is no text")
    return value


def _id(fields: Mapping[str, Any]) -> str:
    """The id of the record; empty if there is none."""
    value = _text(fields, "id")
    if value is None:
        return ""
    found = id_in(value)
    if found is None or made_at(found) is None:
        raise RowRefused("the id is no UUIDv7 in its usual form; without an id the account gets one")
    return found


def _email(fields: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The primary address, and whether it is verified."""
    value, verified = _text(fields, "email"), _flag(fields, "email_verified")
    if value is None:
        if verified:
            raise RowRefused("email_verified is true, but there is no email")
        return None, False
    try:
        return address_of(value), verified is True
    except ValueError as error:
        raise RowRefused(f"the email is not one that is allowed here: {error}") from None


def _flag(fields: Mapping[str, Any], column: str) -> bool | None:
    """A boolean, also as text; None if it is absent."""
    value = fields.get(column)
    if value is None:
        return None
    found = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise RowRefused(f"{column} is neither true nor false")
    return found


def _password_hash(fields: Mapping[str, Any]) -> str | None:
    value = _text(fields, "password_hash")
    # Django marks an account without a usable password by "!".
    if value is None or value.startswith("!"):
        return None
    problem = cost_problem(value)
    if problem is not None:
        raise RowRefused(f"{problem}; without password_hash the account is taken, and users reset-password lets it in")
    return value


def _time(fields: Mapping[str, Any], column: str, now: int) -> int | None:
    value = _text(fields, column)
    if value is None:
        return None
    try:
        at = read_rfc3339(value)
    except ValueError:
        raise RowRefused(f"{column} is no time like 2026-11-23T20:31:07Z") from None
    if not 0 <= at <= now + _FUTURE_MS:
        raise RowRefused(f"{column} is before 1970 or in the future")
    return at


def _disabled_at(fields: Mapping[str, Any], at: int | None, now: int) -> int | None:
    disabled = _flag(fields, "disabled")
    if disabled is None:
        return at
    if not disabled and at is not None:
        raise RowRefused("disabled is false, but there is a disabled_at")
    return (now if at is None else at) if disabled else None


def _derived_id(user: User, password_hash: str | None, created_at: int | None) -> str:
    """An id derived from the record, so the same record is recognised when an interrupted import is run again."""
    content = [user.username, user.name, user.role, user.disabled, password_hash, created_at]
    # Without an address the id is that of an import by a program that knew none.
    if user.email is not None:
        content += [user.email, user.email_verified_at is not None]
    return derived_id(user.created_at, json.dumps(content).encode("ascii"))
