"""Converts a session to a row and back. A column is a field of model.Session with its name."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from server.authentication.model import PASSWORD_METHOD
from server.database.driver import Row
from server.database.inserting import insert_into
from server.sessions.model import Session, UserSession

_COLUMNS = tuple(field.name for field in fields(Session))
_AMR = _COLUMNS.index("amr")
# What a program leaves NULL that does not know the column: it opens sessions with a password, and never asks again.
_WHEN_NULL = {"authenticated_at": "created_at", "amr": f"'{PASSWORD_METHOD}'"}


def _read(column: str) -> str:
    return f"COALESCE({column}, {_WHEN_NULL[column]}) AS {column}" if column in _WHEN_NULL else column


# To select a Session, and what is in its place in an older row.
SESSION = ", ".join(map(_read, _COLUMNS))
AUTHENTICATED_AT = _read("authenticated_at")
# To insert one, with `inserted_values`.
INSERT_SESSION = insert_into("sessions", _COLUMNS)


def session_of(row: Row) -> Session:
    """From a row that has the columns of SESSION, and no others."""
    return _session(list(row))


def user_session_of(row: Row) -> UserSession:
    """From a row that has the columns of SESSION, and then username, role and role_changed_at of its user."""
    *values, username, role, role_changed_at = row
    return UserSession(_session(values), username, role, role_changed_at)


def _session(values: list[Any]) -> Session:
    # By their places, which takes half of the time by their names: each refresh reads a session.
    values[_AMR] = tuple(values[_AMR].split())
    return Session(*values)


def inserted_values(session: Session) -> tuple[Any, ...]:
    """The values in the order of INSERT_SESSION."""
    return tuple(amr_text(session.amr) if name == "amr" else getattr(session, name) for name in _COLUMNS)


def amr_text(amr: tuple[str, ...]) -> str:
    """Methods as they are stored. Their names have no spaces (RFC 8176 section 2)."""
    return " ".join(amr)
