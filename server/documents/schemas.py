"""The queries and answers of GET /routes and GET /explain."""

from __future__ import annotations

from typing import Annotated

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


def explain_json(method: str, path: str, decision: Decision, recent: str) -> dict[str, object]:
    """The decision in the form of ExplainAnswer, for the route and the command."""
    return {
        "method": method,
        "path": path,
        "allowed": decision.allowed,
        "reason": decision.reason,
        "recent": recent,
    }
