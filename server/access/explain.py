"""Decides like the middleware, but without a request, for GET /explain and the command `explain`."""

from __future__ import annotations

from watchword_client.access import Decision
from watchword_client.role_table import RoleTable


def explain(table: RoleTable, method: str, path: str, role: str | None) -> tuple[str, Decision] | None:
    """The name of the route and the decision for that role; None if there is no such route.

    `path` is one that a client would send, or the route's template. A HEAD is decided as a GET.
    """
    wanted = "GET" if method == "HEAD" else method
    for name in table.names():
        own_method, _, template = name.partition(" ")
        if own_method == wanted and _matches(template, path):
            return name, table.decide(name, role)
    return None


def _matches(template: str, path: str) -> bool:
    """Whether a path fits the template, or is the template itself."""
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        (part.startswith("{") and value != "") or part == value for part, value in zip(wanted, given, strict=True)
    )
