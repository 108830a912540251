"""The answer of GET /routes."""

from __future__ import annotations

from pydantic import Field

from server.http.schemas import Answer


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
