"""Bodies and answers about addresses."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from server.challenges.schemas import CODE_RULE, MailedCode
from server.core.clock import rfc3339
from server.emails.address import ADDRESS_RULE
from server.emails.model import Email
from server.http.schemas import Answer, Input, OpaqueToken, Timestamp
from server.users.schemas import Email as EmailAddress

_TOKEN = "wwe_AZqn0gxLfhmm-DtdfJ4fJG0vqzW2Vd5Nn8mJx0pQe4s"  # noqa: S105 - an example


class NewEmailBody(Input):
    """Another address of one's own."""

    email: EmailAddress = Field(description=f"The address, to which link and code are mailed: {ADDRESS_RULE}")


class ConfirmationBody(Input):
    """The token of the link, in another browser also the code; or the address and the code."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": _TOKEN}, {"email": "lak@example.com", "code": "7KQ4-XW2M"}]}
    )

    token: OpaqueToken | None = Field(
        default=None, description="What stands behind the `#` of the mailed link", examples=[_TOKEN]
    )
    code: MailedCode | None = Field(
        default=None, description=f"{CODE_RULE}. The link needs it outside of the browser that asked"
    )
    email: EmailAddress | None = Field(default=None, description="The address, if the token is not given")


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
