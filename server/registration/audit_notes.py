"""Makes the audit notes about invitations (docs/audit.md). Their target is the invitation."""

from __future__ import annotations

from server.audit.model import AuditEvent, AuditNote, Value
from server.core.clock import rfc3339
from server.registration.model import Invitation
from server.users.model import User


def invitation_created(made: Invitation) -> AuditNote:
    """The note of a new one, with its values."""
    after: dict[str, Value] = {
        "role": made.role,
        "email": made.email,
        "uses": made.uses,
        "expires_at": rfc3339(made.expires_at),
    }
    return AuditNote(AuditEvent.INVITATION_CREATED, made.created_at, made.id, made.email, after=after)


def invitation_withdrawn(before: Invitation, now: int) -> AuditNote:
    """The note of a withdrawal, with how often it was used."""
    was: dict[str, Value] = {"role": before.role, "uses": before.uses, "used": before.used}
    return AuditNote(AuditEvent.INVITATION_WITHDRAWN, now, before.id, before.email, before=was)


def invitation_used(used: Invitation, user: User, now: int) -> AuditNote:
    """The note of a use, with who has registered."""
    after: dict[str, Value] = {"user_id": user.id, "username": user.username, "role": user.role, "used": used.used}
    return AuditNote(AuditEvent.INVITATION_USED, now, used.id, used.email, after=after)
