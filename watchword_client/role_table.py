"""The role table: the rule of each route of an application. A route without a rule of its own is closed."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from watchword_client.access import AccessRule, Decision, Roles, only
from watchword_client.errors import ConfigurationError
from watchword_client.route_names import name_of, names_that_take_head, shared_names, template_of

# A route in a role table: method and template.
_NAME = re.compile(r"(?:[A-Z][A-Z-]*|\*) /\S*")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BoundRule:
    """The rule of a route of the router. `sufficient` are the roles that satisfy it; None if every role does."""

    path: str
    rule: AccessRule
    sufficient: frozenset[str] | None


class RoleTable:
    """`{"GET /reports": only("admin")}`. A route without a rule of its own is closed to everybody."""

    def __init__(self, rules: Mapping[str, AccessRule], roles: Roles) -> None:
        """Raises ConfigurationError for a name that is not a method and a path, and for a role that does not exist."""
        problems = [
            f"access {name!r}: a rule is named by method and path, as GET /reports; HEAD has the rule of GET"
            for name in rules
            if not _NAME.fullmatch(name) or name.startswith("HEAD ")
        ]
        named = {role for rule in rules.values() for role in rule.roles or ()} | roles.included()
        problems += [
            f"roles: there is no role {role!r}; name it in roles" for role in sorted(named.difference(roles.names()))
        ]
        if problems:
            raise ConfigurationError(problems)
        self._roles = roles
        self._rules = dict(rules)
        # The key is the route itself, because several routes may have the same name.
        self._bound: dict[AbstractRoute, BoundRule] = {}

    def names(self) -> list[str]:
        """All routes that have a rule, as they were given."""
        return list(self._rules)

    def decide(self, name: str, role: str | None) -> Decision:
        """Whether a caller with that role may call the route of that name. None is a caller without a token."""
        return self._roles.decide(self._rules[name], role)

    def rule_of(self, request: web.Request) -> BoundRule | None:
        """The rule of the route that the router has found; None if it has found none (404, 405)."""
        route = request.match_info.route
        rule = self._bound.get(route)
        if rule is None and request.match_info.http_exception is None:
            rule = self._first_seen(route, request.app.router)
        return rule

    def _first_seen(self, route: AbstractRoute, router: web.UrlDispatcher) -> BoundRule:
        name = name_of(route)
        listed = route in router.routes()
        rule = self._rules.get(name)
        if rule is None or not listed or name in shared_names(router).keys() | names_that_take_head(router):
            _log.error("a route without a rule of its own is closed: %(route)s", {"route": name})
            rule = only()
        bound = BoundRule(template_of(route), rule, self._roles.sufficient(rule))
        if listed:
            # Only routes of the router are remembered, because other ones may be made anew for each request.
            self._bound[route] = bound
        return bound

    def require_all(self, router: web.UrlDispatcher) -> None:
        """Raises ConfigurationError for a route without a rule, a rule without a route, and two routes of one name."""
        names = {name_of(route) for route in router.routes()}
        problems = [f"route {name}: has no rule; add it to access" for name in sorted(names - self._rules.keys())]
        problems += [f"access {name!r}: there is no such route" for name in sorted(self._rules.keys() - names)]
        problems += [
            f"route {name}: is not the only one of that name ({'; '.join(sorted(places))}); "
            "one rule can't be for all of them: give each another path, or its variable another name"
            for name, places in sorted(shared_names(router).items())
        ]
        problems += [
            f"route {name}: would answer HEAD, which has the rule of GET; add a route for HEAD to that of GET"
            for name in sorted(names_that_take_head(router))
        ]
        if problems:
            raise ConfigurationError(problems)
