"""Mails that are written. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MailState(StrEnum):
    """What has become of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


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
