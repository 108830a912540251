"""Records of the audit log, and how a note becomes a record (docs/audit.md). Times are epoch milliseconds."""

# ruff: noqa: S105 - names of events, not passwords

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server.core.origin import Origin
from server.core.text import storable


class AuditEvent(StrEnum):
    """What happened. The names are public: they never change, but there may be new ones."""

    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_RENAMED = "user_renamed"
    USER_DELETED = "user_deleted"
    EMAIL_ADDED = "email_added"
    EMAIL_CONFIRMED = "email_confirmed"
    EMAIL_REMOVED = "email_removed"
    EMAIL_MADE_PRIMARY = "email_made_primary"
    USERS_IMPORTED = "users_imported"
    USERS_EXPORTED = "users_exported"
    INVITATION_CREATED = "invitation_created"
    INVITATION_WITHDRAWN = "invitation_withdrawn"
    INVITATION_USED = "invitation_used"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_CHANGE_FAILED = "password_change_failed"
    PASSWORD_RESET_REQUESTED = "password_reset_requested"
    PASSWORD_RESET = "password_reset"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    REAUTHENTICATED = "reauthenticated"
    REAUTHENTICATION_FAILED = "reauthentication_failed"
    LOGGED_OUT = "logged_out"
    SESSIONS_ENDED = "sessions_ended"
    REFRESH_REUSED = "refresh_reused"
    KEYS_ROTATED = "keys_rotated"
    KEYS_REVOKED = "keys_revoked"
    MASTER_KEY_CHANGED = "master_key_changed"
    MAIL_RETRIED = "mail_retried"


# A JSON value.
Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class AuditNote:
    """What happened to whom. The record also says who did it and from where (server/core/origin.py).

    The target is a user, or a key, whose `kid` is its id and its name, an invitation or a mail,
    whose name is its address.
    `before` and `after` hold the values that have changed; they never hold a secret, hash or token. `by_target` says
    that the target has just authenticated or registered: if the request had no token, the target is the actor.
    """

    event: AuditEvent
    at: int
    target_id: str | None = None
    target_name: str | None = None
    before: Mapping[str, Value] | None = None
    after: Mapping[str, Value] | None = None
    by_target: bool = False


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A row of the log. `before` and `after` are JSON texts; `hash` links the row to the one before (chain.py)."""

    seq: int
    at: int
    event: str
    actor_id: str | None
    actor_name: str | None
    target_id: str | None
    target_name: str | None
    via: str
    ip: str | None
    request_id: str | None
    before: str | None
    after: str | None
    hash: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the chain: number and hash of its last row; 0 and an empty hash if there is no row."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which records to list, the newest first. None means any. `before_seq` is the last `seq` of the page before.

    With the id and the name of an actor or target, records fit that have one of the two. The user is one of the two.
    `from_at` belongs to the records, `to_at` does not (epoch ms).
    """

    limit: int
    before_seq: int | None = None
    from_seq: int | None = None
    event: str | None = None
    actor_id: str | None = None
    actor_name: str | None = None
    target_id: str | None = None
    target_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    from_at: int | None = None
    to_at: int | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A login, or one that failed for a `reason`. `at` is in epoch milliseconds."""

    seq: int
    at: int
    succeeded: bool
    ip: str | None
    user_agent: str | None
    reason: str | None


def record_of(seq: int, note: AuditNote, origin: Origin) -> AuditRecord:
    """The record of a note, with its actor. `hash` is still empty; AuditChain.linked sets it."""
    actor_id, actor_name = origin.actor_id, origin.actor_name
    if note.by_target and actor_id is None:
        actor_id, actor_name = note.target_id, note.target_name
    return AuditRecord(
        seq=seq,
        at=note.at,
        event=note.event.value,
        actor_id=storable(actor_id),
        actor_name=storable(actor_name),
        target_id=storable(note.target_id),
        target_name=storable(note.target_name),
        via=origin.via,
        ip=storable(origin.ip),
        request_id=storable(origin.request_id),
        before=_json(note.before),
        after=_json(note.after),
        hash="",
    )


def sign_in_of(record: AuditRecord) -> SignIn:
    """The login, or the failed one, that a record tells of. What cannot be read, since it was altered, is left out."""
    told = members_of(record.after) or {}
    texts = {name: text if isinstance(text := told.get(name), str) else None for name in ("user_agent", "reason")}
    succeeded = record.event == AuditEvent.LOGIN_SUCCEEDED
    return SignIn(seq=record.seq, at=record.at, succeeded=succeeded, ip=record.ip, **texts)


def members_of(text: str | None) -> dict[str, Any] | None:
    """`before` or `after` of a record as a dict. If somebody has altered it, it is in the member `unreadable`."""
    if text is None:
        return None
    try:
        value = json.loads(text)
        # Raises for values that an answer can't hold, such as NaN and lone surrogates.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        return {"unreadable": text}
    return value if isinstance(value, dict) else {"unreadable": text}


def _json(value: Mapping[str, Value] | None) -> str | None:
    """A mapping as JSON in ASCII, so it never contains a line break."""
    return None if value is None else json.dumps(value, separators=(",", ":"), default=str)
