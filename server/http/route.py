"""A row of the route table. Each feature has its own rows in its routes.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from server.core.errors import ApiError
from watchword_client.access import AccessRule

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# `recent` of a route that always asks for a recent sign-in.
ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route as its feature declares it.

    `answers` maps each success status to its model (None: no body); `content_type` belongs to them. `errors` are the
    failures of this route alone; openapi.py adds those that follow from access, body and query. A `fixed` route serves
    to get a token or to check one from outside, so the settings can't override its rule. `recent` says when it asks for
    a recent sign-in: "" is never; for ALWAYS the table sees to it before the handler is called; otherwise it is words,
    such as "to change a role to or from an admin role", and the handler sees to it (server/sessions/recent.py). The
    handler of an `immediate` route, a GET on a path without variables, waits for nothing and sets no cookies
    (immediate.py).
    """

    method: str
    path: str
    handler: Handler
    access: AccessRule
    summary: str
    answers: dict[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    errors: tuple[type[ApiError], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    tag: str = "Users"
    fixed: bool = False
    recent: str = ""
    immediate: bool = False

    @property
    def name(self) -> str:
        """Method and path, as in `[access]`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class GuardedRoute:
    """A route with the rule in force. The settings may have changed the rule."""

    route: Route
    rule: AccessRule
    overridden: bool
