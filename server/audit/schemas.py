"""The query and the answer of GET /audit, and a record as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from server.audit.model import AuditEvent, AuditRecord
from server.core.clock import rfc3339
from server.http.schemas import Answer, Input, Timestamp, number, one_line


def _event(value: object) -> object:
    """The event of that name. Raises ValueError, whose message lists all events."""
    try:
        return AuditEvent(str(value))
    except ValueError:
        raise ValueError(f"There is no such event. Events: {', '.join(AuditEvent)}") from None


IdOrName = Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(one_line)]


class AuditQuery(Input):
    """Which records, and which page of them. `actor` and `target` are ids or names."""

    limit: Annotated[int, BeforeValidator(number), Field(ge=1, le=200)] = 50
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    event: Annotated[AuditEvent, BeforeValidator(_event)] | None = None
    actor: IdOrName | None = None
    target: IdOrName | None = None


class AuditEventAnswer(Answer):
    """A record. `before` and `after` hold what has changed; `hash` links it to the record before it."""

    seq: int
    at: Timestamp
    event: str
    actor_id: str | None
    actor_name: str | None
    target_id: str | None
    target_name: str | None
    via: str
    ip: str | None
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    hash: str


class AuditAnswer(Answer):
    """A page of records. `next_cursor` null: this was the last page."""

    events: list[AuditEventAnswer]
    next_cursor: str | None


def audit_json(record: AuditRecord) -> Mapping[str, Any]:
    """A record in the form of AuditEventAnswer. It also works for a record that somebody has altered."""
    return {
        "seq": record.seq,
        "at": _time(record.at),
        "event": record.event,
        "actor_id": record.actor_id,
        "actor_name": record.actor_name,
        "target_id": record.target_id,
        "target_name": record.target_name,
        "via": record.via,
        "ip": record.ip,
        "request_id": record.request_id,
        "before": _members(record.before),
        "after": _members(record.after),
        "hash": record.hash,
    }


def _time(at: int) -> str:
    try:
        return rfc3339(at)
    except (ValueError, OverflowError, OSError):
        return str(at)


def _members(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
        # Raises for values that the answer can't hold, such as NaN and lone surrogates.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        return {"unreadable": text}
    return value if isinstance(value, dict) else {"unreadable": text}
