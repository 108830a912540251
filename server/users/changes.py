"""What is changed of an account: whether the values are as they should be, and the account afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

from server.core.errors import InvalidRequest
from server.emails.address import address_of, check_spelling
from server.users.model import User
from server.users.names import username_of


class UserChange(TypedDict, total=False):
    """What to change. What is absent or None stays as it is, but `email`: None takes the primary address away."""

    name: str | None
    role: str | None
    disabled: bool | None
    username: str | None
    email: str | None


def in_kept_form(change: UserChange) -> UserChange:
    """The change with username and address in the form in which they are kept. Raises InvalidRequest."""
    kept = change.copy()
    if (username := change.get("username")) is not None:
        kept["username"] = kept_username(username)
    if (email := change.get("email")) is not None:
        kept["email"] = kept_email(email)
    return kept


def changed(before: User, change: UserChange, now: int) -> User:
    """The user after a change in kept form, by the decision of an admin: so an address counts as verified."""
    after = replace(
        before,
        name=change.get("name") or before.name,
        role=change.get("role") or before.role,
        username=change.get("username") or before.username,
    )
    disabled = change.get("disabled")
    if disabled is not None:
        after = replace(after, disabled_at=(before.disabled_at or now) if disabled else None)
    if "email" not in change or (change["email"] == before.email and before.email_verified_at is not None):
        return after
    email = change["email"]
    return replace(after, email=email, email_verified_at=None if email is None else now)


def kept_username(username: str) -> str:
    """The username in the form in which it is kept. Raises InvalidRequest."""
    try:
        check_spelling(username)
        return username_of(username)
    except ValueError as error:
        raise InvalidRequest([("username", f"{error}.")]) from None


def kept_email(email: str) -> str:
    """The address in the form in which it is kept. Raises InvalidRequest."""
    try:
        return address_of(email)
    except ValueError as error:
        raise InvalidRequest([("email", f"{error}.")]) from None
