"""The queries and answers of GET /audit and GET /me/sign-ins, and a record as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from server.audit.model import AuditEvent, AuditRecord, SignIn, members_of
from server.core.clock import read_rfc3339, rfc3339
from server.core.errors import InvalidRequest
from server.http.schemas import CURSOR, NEXT_CURSOR, Answer, Cursor, Input, Limit, Timestamp, one_line

_ACTOR_ID = "019aa7c9-11d2-7e60-8f4b-90c3d7e5a218"
_USER_ID = "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37"


def _event(value: object) -> object:
    """The event of that name. Raises ValueError, whose message lists all events."""
    try:
        return AuditEvent(str(value))
    except ValueError:
        raise ValueError(f"There is no such event. Events: {', '.join(AuditEvent)}") from None


def _time_of(value: object) -> int:
    """Epoch milliseconds. Raises ValueError, whose message says what to write."""
    try:
        return read_rfc3339(str(value))
    except ValueError:
        raise ValueError("Write a time like 2026-11-24T08:00:00Z; a + before its offset is %2B in a query") from None


IdOrName = Annotated[str, StringConstraints(min_length=1, max_length=320), AfterValidator(one_line)]
# In the query a time of RFC 3339, here in epoch milliseconds.
Time = Annotated[int, BeforeValidator(_time_of), WithJsonSchema({"type": "string", "format": "date-time"})]


class AuditQuery(Input):
    """Which records, and which page of them."""

    limit: Limit = Field(default=50, description="How many records the page has at most")
    cursor: Cursor | None = Field(default=None, description=CURSOR, examples=["NDE"])
    event: Annotated[AuditEvent, BeforeValidator(_event)] | None = Field(
        default=None, description="Only records of this event"
    )
    actor: IdOrName | None = Field(default=None, description="Id or name of who did it", examples=["admin"])
    target: IdOrName | None = Field(default=None, description="Id or name of whom it was done to", examples=["lak"])
    user: IdOrName | None = Field(
        default=None, description="Id or name of a user who did it or whom it was done to", examples=["lak"]
    )
    from_at: Time | None = Field(default=None, alias="from", description="Only records of this time or later")
    to_at: Time | None = Field(default=None, alias="to", description="Only records before this time")

    def require_order(self) -> None:
        """Raise InvalidRequest if `to` is before `from`."""
        if self.from_at is not None and self.to_at is not None and self.to_at < self.from_at:
            raise InvalidRequest([("to", "This time is before that of `from`.")])


class AuditEventAnswer(Answer):
    """A record of the audit log."""

    seq: int = Field(description="The number of the record, without gaps", examples=[41])
    at: Timestamp = Field(description="When it happened")
    event: str = Field(description="What happened", examples=[AuditEvent.USER_CHANGED.value])
    actor_id: str | None = Field(description="The id of who did it; null without a token", examples=[_ACTOR_ID])
    actor_name: str | None = Field(description="The name of who did it, at that time", examples=["admin"])
    target_id: str | None = Field(
        description="The id of the user, or of the key, that it was done to", examples=[_USER_ID]
    )
    target_name: str | None = Field(description="The name of that user, key or mail, at that time", examples=["lak"])
    via: str = Field(description="`http`, `command line`, or `server` for what it does by itself", examples=["http"])
    ip: str | None = Field(description="The address of the client", examples=["203.0.113.7"])
    request_id: str | None = Field(description="The `X-Request-Id` of the answer", examples=["6c1f0a6f2b9be1d7aa-1c"])
    before: dict[str, Any] | None = Field(
        description="The values that have changed, as they were", examples=[{"role": "customer"}]
    )
    after: dict[str, Any] | None = Field(
        description="The same as they are now, or what else there is to know", examples=[{"role": "admin"}]
    )
    hash: str = Field(
        description="Links the record to the one before, so that no change stays hidden",
        examples=["5dd0a8b34f0b6e1c9a7d2c48e6f1037b95ac2e8d614f70b3c8d95e2a1f6b4c07"],
    )


class AuditAnswer(Answer):
    """A page of records."""

    events: list[AuditEventAnswer] = Field(description="The records of this page, the newest first")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=["NDE"])


class SignInsQuery(Input):
    """Which page of one's own sign-ins."""

    limit: Limit = Field(default=50, description="How many sign-ins the page has at most")
    cursor: Cursor | None = Field(default=None, description=CURSOR, examples=["NDE"])


class SignInAnswer(Answer):
    """Somebody has signed in to the account, or has tried to."""

    at: Timestamp = Field(description="When")
    succeeded: bool = Field(description="Whether it was the right password")
    ip: str | None = Field(description="The address that it came from", examples=["203.0.113.7"])
    user_agent: str | None = Field(
        description="What the program called itself; null where it is not known", examples=["Mozilla/5.0"]
    )
    reason: str | None = Field(description="Why it failed; null if it succeeded", examples=["wrong password"])


class SignInsAnswer(Answer):
    """A page of one's own sign-ins."""

    sign_ins: list[SignInAnswer] = Field(description="The sign-ins of this page, the newest first")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=["NDE"])


def sign_in_json(sign_in: SignIn) -> dict[str, Any]:
    """A sign-in in the form of SignInAnswer."""
    return {
        "at": _time(sign_in.at),
        "succeeded": sign_in.succeeded,
        "ip": sign_in.ip,
        "user_agent": sign_in.user_agent,
        "reason": sign_in.reason,
    }


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
        "before": members_of(record.before),
        "after": members_of(record.after),
        "hash": record.hash,
    }


def _time(at: int) -> str:
    try:
        return rfc3339(at)
    except (ValueError, OverflowError, OSError):
        return str(at)
