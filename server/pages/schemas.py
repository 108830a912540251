"""What the pages ask about this server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from server.http.schemas import Answer, Input


class PageSettingsQuery(Input):
    """An origin to which a page was asked to lead back."""

    return_origin: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = Field(
        default=None,
        description="Whether pages may lead back to this origin, as browsers write it",
        examples=["https://app.example.com"],
    )


class RegistrationMode(Answer):
    """Who may sign up."""

    mode: Literal["closed", "invitation", "open"] = Field(description="Who may sign up")


class PasswordRules(Answer):
    """What a page can say of a password before the server decides."""

    min_length: int = Field(description="The least number of characters")


class MailUse(Answer):
    """What people can do by mail here."""

    enabled: bool = Field(description="Whether mail is sent, as for a forgotten password")
    sign_in_codes: bool = Field(description="Whether one can sign in with a code that is mailed")


class PageSettingsAnswer(Answer):
    """What pages have to know of this server. All of it is public."""

    name: str = Field(description="What the pages call this service", examples=["Watchword"])
    languages: list[str] = Field(
        description="The languages of the pages, the default one first", examples=[["en", "de"]]
    )
    public_url: str = Field(
        description="The origin under which browsers reach this server; empty if the settings do not say",
        examples=["https://auth.example.com"],
    )
    registration: RegistrationMode = Field(description="Who may sign up")
    password: PasswordRules = Field(description="Rules for new passwords")
    mail: MailUse = Field(description="What people can do by mail")
    return_origin: str | None = Field(
        description="The origin of the query, if pages may lead back to it; else null",
        examples=["https://app.example.com"],
    )
