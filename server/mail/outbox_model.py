"""Mails of the outbox. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# After so long nobody tries any more to send a mail.
TRY_FOR_MS = 86_400_000
# The column, where another index is to be read than the one of states: SQLite does not know how many mails a state has.
STATE = "CAST(state AS TEXT)"


class MailState(StrEnum):
    """What has become of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class MailResult(StrEnum):
    """How an attempt to send a mail ended, as it is counted."""

    SENT = "sent"
    # It is tried again.
    DEFERRED = "deferred"
    # The mail server refuses it for good.
    REFUSED = "refused"
    # Nobody tries any more, since that would take too long.
    EXPIRED = "expired"
    # It can't be made: its content can't be read, or its template has failed until the end.
    FAILED = "failed"
    # No mail server, so this mail was not tried.
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class WrittenMail:
    """A mail as it is put into the outbox. `content` is sealed with the id as its context."""

    id: str
    kind: str
    recipient: str
    user_id: str | None
    language: str
    message_id: str
    content: bytes
    state: str
    attempts: int
    created_at: int
    next_attempt_at: int
    give_up_at: int


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this process sends now, and nobody else does."""

    id: str
    kind: str
    recipient: str
    language: str
    message_id: str
    content: bytes
    attempts: int
    created_at: int
    give_up_at: int


@dataclass(frozen=True, slots=True)
class Unsent:
    """Those of a state that are not sent. `oldest_at` is when the oldest of them was written (epoch ms)."""

    state: str
    count: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class MailRecord:
    """A mail as admins see it: never what is in it.

    `next_attempt_at` counts only while it waits. `reason` is why the last attempt failed.
    """

    id: str
    kind: str
    recipient: str
    user_id: str | None
    state: str
    attempts: int
    reason: str | None
    created_at: int
    next_attempt_at: int
    ended_at: int | None
