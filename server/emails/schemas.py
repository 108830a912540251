"""Answers about addresses."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from server.core.clock import rfc3339
from server.emails.model import Email
from server.http.schemas import Answer, Timestamp


class EmailAnswer(Answer):
    """An address of a user."""

    id: str = Field(description="For the paths below `/me/emails`", examples=["019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b38"])
    email: str = Field(description="The address", examples=["lak@example.com"])
    verified: bool = Field(description="Whether it counts: the user logs in with it, and nobody else has it")
    primary: bool = Field(description="Whether it is the one that is shown with the user")
    created_at: Timestamp = Field(description="When it was added")


class EmailsAnswer(Answer):
    """The addresses of a user."""

    emails: list[EmailAnswer] = Field(description="The addresses, the oldest first")


def email_json(email: Email) -> dict[str, Any]:
    """An address in the form of EmailAnswer."""
    return {
        "id": email.id,
        "email": email.email,
        "verified": email.verified,
        "primary": email.primary,
        "created_at": rfc3339(email.created_at),
    }
