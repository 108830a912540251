"""The answer of GET /routes."""

from __future__ import annotations

from server.http.schemas import Answer


class RouteAnswer(Answer):
    """A row of the role table."""

    method: str
    path: str
    access: str
    roles: list[str]
    overridden: bool


class RoutesAnswer(Answer):
    """The effective role table."""

    routes: list[RouteAnswer]
