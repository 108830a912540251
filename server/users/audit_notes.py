"""Makes the audit notes about accounts (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Iterable

from server.audit.model import AuditEvent, AuditNote, Value
from server.users.model import Credentials, User


def user_created(new: Credentials) -> AuditNote:
    """The note of a new account, with its values and whether it has a password."""
    user = new.user
    after: dict[str, Value] = {"name": user.name, "role": user.role, "password": new.password_hash is not None}
    return AuditNote(AuditEvent.USER_CREATED, user.created_at, user.id, user.username, after=after)


def user_changed(before: User, after: User) -> AuditNote:
    """The note of a change, with the values that differ."""
    old, new = _shown(before), _shown(after)
    changed = [name for name in old if old[name] != new[name]]
    return AuditNote(
        AuditEvent.USER_CHANGED,
        after.updated_at,
        before.id,
        before.username,
        before={name: old[name] for name in changed},
        after={name: new[name] for name in changed},
    )


def user_renamed(before: User, after: User) -> AuditNote:
    """The note of another username. The record is about the user by the name that was given up."""
    names = {"username": before.username}, {"username": after.username}
    return AuditNote(AuditEvent.USER_RENAMED, after.updated_at, before.id, before.username, *names)


def user_deleted(before: User, now: int) -> AuditNote:
    """The note of a deletion, with the last values."""
    return AuditNote(AuditEvent.USER_DELETED, now, before.id, before.username, before=_shown(before))


def users_imported(user_ids: Iterable[str], now: int) -> AuditNote:
    """The note of all users that one transaction of an import has added."""
    made = sorted(user_ids)
    return AuditNote(AuditEvent.USERS_IMPORTED, now, after={"users": len(made), "user_ids": made})


def _shown(user: User) -> dict[str, Value]:
    return {"name": user.name, "role": user.role, "disabled": user.disabled}
