"""Queries and answers about mails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from server.core.clock import rfc3339
from server.http.schemas import CURSOR, NEXT_CURSOR, Answer, Cursor, Input, Limit, Timestamp
from server.mail.outbox_model import MailRecord, MailState

State = Literal["waiting", "sent", "given_up"]

_ID = "019aa7d4-6e2a-7b91-8c05-2f4d6a8b0c13"
_USER = "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37"


class MailsQuery(Input):
    """Which page of the mails."""

    state: State | None = Field(default=None, description="Only mails of this state; else of all")
    limit: Limit = Field(default=50, description="How many mails the page has at most")
    cursor: Cursor | None = Field(default=None, description=CURSOR)


class MailAnswer(Answer):
    """A mail, without what is in it."""

    id: str = Field(description="Its id, with which it can be tried again", examples=[_ID])
    kind: str = Field(description="The name of its templates", examples=["reset-password"])
    recipient: str = Field(description="The address that it goes to", examples=["lak@example.com"])
    user_id: str | None = Field(description="The id of the user whom it is about, if there is one", examples=[_USER])
    state: State = Field(description="Whether it waits, was sent to the mail server, or nobody tries any more")
    attempts: int = Field(description="How often it was tried")
    reason: str | None = Field(
        description="Why the last attempt failed", examples=["RCPT TO: 550 5.1.1 no such user here"]
    )
    created_at: Timestamp = Field(description="When it was written")
    next_attempt_at: Timestamp | None = Field(description="When it is tried again; null: it does not wait any more")
    ended_at: Timestamp | None = Field(description="When it was sent or given up; null: it waits")


class MailsAnswer(Answer):
    """A page of mails, the newest first."""

    mails: list[MailAnswer] = Field(description="The mails")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=[None])


def mail_json(mail: MailRecord) -> Mapping[str, Any]:
    """A mail in the form of MailAnswer."""
    return {
        "id": mail.id,
        "kind": mail.kind,
        "recipient": mail.recipient,
        "user_id": mail.user_id,
        "state": mail.state,
        "attempts": mail.attempts,
        "reason": mail.reason,
        "created_at": rfc3339(mail.created_at),
        "next_attempt_at": rfc3339(mail.next_attempt_at) if mail.state == MailState.WAITING else None,
        "ended_at": None if mail.ended_at is None else rfc3339(mail.ended_at),
    }
