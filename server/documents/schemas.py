"""The queries and answers of GET /routes, GET /explain and GET /settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from server.http.schemas import Answer, Input, RoleName, one_line
from watchword_client.access import Decision


class RouteAnswer(Answer):
    """A row of the role table."""

    method: str = Field(description="The method of the route", examples=["GET"])
    path: str = Field(description="Its path; `{…}` stands for a part that differs", examples=["/users/{user_id}"])
    access: str = Field(description="Who may call it: `anyone`, `any user`, or roles", examples=["admin"])
    roles: list[str] = Field(
        description="All roles that suffice, also those that include one of them; empty if no role is needed",
        examples=[["admin"]],
    )
    overridden: bool = Field(description="Whether `[access]` in the settings has changed who may call it")
    recent: str = Field(
        description="When it asks for a recent sign-in: empty (never), `always`, or in words", examples=["always"]
    )


class RoutesAnswer(Answer):
    """The effective role table."""

    routes: list[RouteAnswer] = Field(description="One row for each route")


class ExplainQuery(Input):
    """A call, and by which role. Without a role it is a caller without a token."""

    method: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,16}$")] = Field(
        description="The method of the call", examples=["GET"]
    )
    path: Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(one_line)] = Field(
        description="A real path, or the path of a row of GET /routes; a query behind it does not count",
        examples=["/users"],
    )
    role: RoleName | None = Field(default=None, description="A role of the settings", examples=["customer"])


class ExplainAnswer(Answer):
    """Whether a call would be allowed, and why."""

    method: str = Field(description="The method, in capital letters", examples=["GET"])
    path: str = Field(description="The path as it was asked for, without a query", examples=["/users"])
    allowed: bool = Field(description="Whether it would be allowed")
    reason: str = Field(
        description="Why, in a sentence",
        examples=["it is open to: admin; customer is not and does not include any of these"],
    )
    recent: str = Field(
        description="When it asks for a recent sign-in: empty (never), `always`, or in words", examples=["always"]
    )


class SettingAnswer(Answer):
    """A setting in force."""

    name: str = Field(description="Its name, as in docs/settings.md", examples=["server.port"])
    value: Any = Field(description="Its value; secrets are masked", examples=[8081])
    default: Any = Field(description="The value that it has if it is not given", examples=[8080])
    source: Literal["default", "file", "environment", "command line"] = Field(description="Where the value comes from")


class SettingsAnswer(Answer):
    """The settings in force."""

    settings: list[SettingAnswer] = Field(description="All settings; `roles` and `access` are one each")
    warnings: list[str] = Field(
        description="What weakens security",
        examples=[["passwords.min_length = 8 is below the 15 of NIST SP 800-63B-4"]],
    )


def explain_json(method: str, path: str, decision: Decision, recent: str) -> dict[str, object]:
    """The decision in the form of ExplainAnswer, for the route and the command."""
    return {
        "method": method,
        "path": path,
        "allowed": decision.allowed,
        "reason": decision.reason,
        "recent": recent,
    }
