"""Makes the audit notes about accounts (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Iterable

from server.audit.model import AuditEvent, AuditNote, Value
from server.users.model import Credentials, User


def user_created(new: Credentials) -> AuditNote:
    """The note of a new account, with its values and whether it has a password."""
    user = new.user
    after: dict[str, Value] = {"name": user.name, "role": user.role, "password": new.password_hash is not None}
    after |= _address(user)
    return AuditNote(AuditEvent.USER_CREATED, user.created_at, user.id, user.username, after=after)


def user_changes(before: User, after: User) -> list[AuditNote]:
    """The notes of another username and of other values that differ; both by the username before."""
    old, new = _shown(before), _shown(after)
    changed = [name for name in old if old[name] != new[name]]
    notes = []
    if after.username != before.username:
        names = {"username": before.username}, {"username": after.username}
        notes.append(AuditNote(AuditEvent.USER_RENAMED, after.updated_at, before.id, before.username, *names))
    if changed:
        values = {name: old[name] for name in changed}, {name: new[name] for name in changed}
        notes.append(AuditNote(AuditEvent.USER_CHANGED, after.updated_at, before.id, before.username, *values))
    return notes


def user_deleted(before: User, now: int) -> AuditNote:
    """The note of a deletion, with the last values."""
    values: dict[str, Value] = {"name": before.name, "role": before.role, "disabled": before.disabled}
    values |= _address(before)
    return AuditNote(AuditEvent.USER_DELETED, now, before.id, before.username, before=values)


def users_imported(user_ids: Iterable[str], now: int) -> AuditNote:
    """The note of all users that one transaction of an import has added."""
    made = sorted(user_ids)
    return AuditNote(AuditEvent.USERS_IMPORTED, now, after={"users": len(made), "user_ids": made})


def _shown(user: User) -> dict[str, Value]:
    shown: dict[str, Value] = {"name": user.name, "role": user.role, "disabled": user.disabled}
    shown |= {"email": None, "email_verified": False}
    return shown | _address(user)


def _address(user: User) -> dict[str, Value]:
    """The primary address; nothing if there is none."""
    if user.email is None:
        return {}
    return {"email": user.email, "email_verified": user.email_verified_at is not None}
