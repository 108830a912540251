"""Bodies, queries and answers about registration and invitations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

from server.core.clock import rfc3339
from server.http.schemas import (
    CURSOR,
    NEXT_CURSOR,
    Answer,
    Cursor,
    Input,
    Limit,
    OpaqueToken,
    Password,
    RoleName,
    Timestamp,
    whole,
)
from server.registration.model import DEFAULT_LIFE_SECONDS, LONGEST_LIFE_SECONDS, MOST_USES, Invitation, NewInvitation
from server.users.names import USERNAME_RULE
from server.users.schemas import Email, Name, Username

_ID = "019aa7d2-0c4b-7e19-a6f8-3b5d7c9e1f24"
_INVITER = "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37"
_TOKEN = "wwi_AZqn0gxLfhmm-DtdfJ4fJG0v"  # noqa: S105 - an example, and no whole token
_EMAIL = "lak@example.com"

InvitationToken = Annotated[OpaqueToken, Field(examples=[_TOKEN])]


class SignUpBody(Input):
    """A new account of one's own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"username": "lak", "name": "Lak", "password": "brown otters juggle turnips", "email": _EMAIL}]
        }
    )

    username: Username = Field(
        description=f"The name to log in with: {USERNAME_RULE}. An address only with an invitation for it"
    )
    name: Name = Field(description="The name to show to people")
    password: Password = Field(description="The rules for passwords hold")
    email: Email | None = Field(
        default=None,
        description="Where the account can be reached; needed if only some domains may register, and without an "
        "invitation if the server sends mail. With mail it has to be confirmed before the first sign-in",
    )
    invitation_token: InvitationToken | None = Field(
        default=None, description="The token of an invitation; needed unless registration is open"
    )


class InvitationBody(Input):
    """What is left out has its default."""

    role: RoleName | None = Field(
        default=None, description="The role of who registers with it; else `registration.role`"
    )
    email: Email | None = Field(
        default=None,
        description="The only address that it is for, which counts as verified then; else for anybody. "
        "The link is mailed there if the server sends mail",
    )
    expires_in: Annotated[int, Field(ge=1, le=LONGEST_LIFE_SECONDS), BeforeValidator(whole)] = Field(
        default=DEFAULT_LIFE_SECONDS, description="Seconds until it expires"
    )
    uses: Annotated[int, Field(ge=1, le=MOST_USES), BeforeValidator(whole)] = Field(
        default=1, description="How many people can register with it; one if it is for an address"
    )


class InvitationTokenBody(Input):
    """The token of an invitation."""

    invitation_token: InvitationToken = Field(description="The token that an admin has handed over")


class InvitationsQuery(Input):
    """Which page of the invitations."""

    limit: Limit = Field(default=50, description="How many invitations the page has at most")
    cursor: Cursor | None = Field(default=None, description=CURSOR)


class InvitationAnswer(Answer):
    """An invitation."""

    id: str = Field(description="Its id, with which it can be withdrawn", examples=[_ID])
    role: str = Field(description="The role of who registers with it", examples=["customer"])
    email: str | None = Field(description="The only address that it is for; null: for anybody", examples=[_EMAIL])
    uses: int = Field(description="How many people can register with it", examples=[1])
    used: int = Field(description="How many have")
    created_by: str | None = Field(
        description="The id of the user who made it; null: it was made on the command line", examples=[_INVITER]
    )
    created_at: Timestamp = Field(description="When it was made")
    expires_at: Timestamp = Field(description="From then on nobody can register with it")
    withdrawn_at: Timestamp | None = Field(description="When an admin has withdrawn it; null: it was not")


class NewInvitationAnswer(Answer):
    """A new invitation."""

    invitation: InvitationAnswer = Field(description="The invitation")
    invitation_token: str = Field(
        description="To hand over: `/invitation#` and this token is the address of a page. It is told only now",
        examples=[_TOKEN],
    )
    mailed: bool = Field(description="Whether a mail with the link goes to the address of the invitation")


class InvitationsAnswer(Answer):
    """A page of invitations, the newest first."""

    invitations: list[InvitationAnswer] = Field(description="The invitations")
    next_cursor: str | None = Field(description=NEXT_CURSOR, examples=[None])


class CheckedInvitationAnswer(Answer):
    """An invitation that somebody can register with now."""

    email: str | None = Field(description="The only address that it is for; null: for anybody", examples=[_EMAIL])
    expires_at: Timestamp = Field(description="From then on nobody can register with it")


def new_invitation_json(made: NewInvitation) -> dict[str, Any]:
    """A new invitation in the form of NewInvitationAnswer."""
    return {
        "invitation": invitation_json(made.invitation),
        "invitation_token": made.token,
        "mailed": made.mailed,
    }


def invitation_json(invitation: Invitation) -> Mapping[str, Any]:
    """An invitation in the form of InvitationAnswer."""
    return {
        "id": invitation.id,
        "role": invitation.role,
        "email": invitation.email,
        "uses": invitation.uses,
        "used": invitation.used,
        "created_by": invitation.created_by,
        "created_at": rfc3339(invitation.created_at),
        "expires_at": rfc3339(invitation.expires_at),
        "withdrawn_at": None if invitation.withdrawn_at is None else rfc3339(invitation.withdrawn_at),
    }
