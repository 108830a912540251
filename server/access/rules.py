"""The rules of this server's routes: `[access]` in the settings overrides the declared ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from server.core.errors import ConfigurationError, InvalidRequest
from watchword_client.access import AccessRule, Roles, only

ADMIN = only("admin")


def require_role(roles: Roles, name: str) -> None:
    """Raise InvalidRequest if there is no such role."""
    if name not in roles:
        raise InvalidRequest([("role", f"There is no such role. Roles: {', '.join(roles.names())}.")])


def rules_in_force(
    declared: Mapping[str, AccessRule], fixed: Collection[str], overrides: Mapping[str, tuple[str, ...]]
) -> dict[str, AccessRule]:
    """The rule of each route, by its name. Raises ConfigurationError for an override of an unknown or `fixed` route."""
    problems = []
    for name in overrides:
        if name not in declared:
            problems.append(f'access."{name}": there is no such route; the command `routes` lists them')
        elif name in fixed:
            problems.append(f'access."{name}": this route must stay open to anyone; remove the line')
    if problems:
        raise ConfigurationError(problems)
    return {name: only(*overrides[name]) if name in overrides else rule for name, rule in declared.items()}
