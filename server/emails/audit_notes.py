"""Makes the audit notes about addresses that are added and confirmed (docs/audit.md)."""

from __future__ import annotations

from server.audit.model import AuditEvent, AuditNote
from server.users.model import User


def email_added(user: User, email: str, now: int) -> AuditNote:
    """The note of another address, which is not confirmed yet."""
    return AuditNote(AuditEvent.EMAIL_ADDED, now, user.id, user.username, after={"email": email})


def email_confirmed(before: User, after: User, email: str, now: int) -> AuditNote:
    """The note of a confirmation, with the primary address before and after."""
    primary = {"primary": before.email}, {"email": email, "primary": after.email}
    return AuditNote(AuditEvent.EMAIL_CONFIRMED, now, before.id, before.username, *primary)
