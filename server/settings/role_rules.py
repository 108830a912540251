"""Checks [roles] and [access], whose names the operator chooses."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence

_ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_ROUTE_NAME = re.compile(r"[A-Z]+ /\S*")


def role_problems(includes: Mapping[str, Sequence[str]]) -> list[str]:
    """A message for each role that has a wrong name or includes an unknown role."""
    problems = [
        f"roles.{name}: a role is named in lower case letters, digits, - and _, at most 64"
        for name in includes
        if not _ROLE_NAME.fullmatch(name)
    ]
    problems += [
        f"roles.{name}.includes: there is no role {other!r}; define [roles.{other}] or leave it out"
        for name, others in includes.items()
        for other in others
        if other not in includes
    ]
    return problems


def access_problems(access: Mapping[str, Sequence[str]], roles: Container[str]) -> list[str]:
    """A message for each override with a wrong form or an unknown role. Whether the route exists is checked later."""
    problems = [
        f'access."{route}": write the method and the path of a route, like "GET /users"'
        for route in access
        if not _ROUTE_NAME.fullmatch(route)
    ]
    problems += [
        f'access."{route}": there is no role {role!r}; define [roles.{role}] or name another'
        for route, allowed in access.items()
        for role in allowed
        if role not in roles
    ]
    return problems
