"""Records of the audit log, and how a note becomes one (docs/audit.md). Times are epoch milliseconds."""

# ruff: noqa: S105 - names of events, not passwords

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from server.core.origin import Origin
from server.core.text import storable


class AuditEvent(StrEnum):
    """What happened. Names are part of the contract: they stay, new ones may come."""

    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_DELETED = "user_deleted"
    USERS_IMPORTED = "users_imported"
    USERS_EXPORTED = "users_exported"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_CHANGE_FAILED = "password_change_failed"
    PASSWORD_RESET_REQUESTED = "password_reset_requested"
    PASSWORD_RESET = "password_reset"
    LOGIN_SUCCEEDED = "login_succeeded"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    SESSIONS_ENDED = "sessions_ended"
    REFRESH_REUSED = "refresh_reused"
    KEYS_ROTATED = "keys_rotated"
    KEYS_REVOKED = "keys_revoked"
    MASTER_KEY_CHANGED = "master_key_changed"


# What JSON can hold.
Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class AuditNote:
    """What happened to whom, to be written down; who did it and from where is added (server/core/origin.py).

    The target is a user, or a key with its `kid` as id and name. `before` and `after` hold what has changed,
    and no secret, hash or token. `by_target`: the target has just proved who they are, so if nobody else is known, they
    did it.
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
    """A row of the log. `before` and `after` are JSON; `hash` links the row to the one before it (chain.py)."""

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
    """The end of the chain: the number and the hash of its last row; 0 and an empty hash before the first."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which records to list, the newest first. None means: does not matter. `before_seq`: where the last page ended."""

    limit: int
    before_seq: int | None = None
    event: str | None = None
    actor_id: str | None = None
    actor_name: str | None = None
    target_id: str | None = None
    target_name: str | None = None


def record_of(seq: int, note: AuditNote, origin: Origin) -> AuditRecord:
    """What is written down of a note, with who did it and from where; `hash` is empty until it is linked."""
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


def _json(value: Mapping[str, Value] | None) -> str | None:
    """In ASCII, so it is one line whatever it holds."""
    return None if value is None else json.dumps(value, separators=(",", ":"), default=str)
