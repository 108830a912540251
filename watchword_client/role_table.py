"""The role table: the rule of each route of an application; what has none, or not one of its own, is closed."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import AbstractRoute, MatchedSubAppResource, PrefixedSubAppResource

from watchword_client.access import AccessRule, Decision, Roles, only
from watchword_client.errors import ConfigurationError

# A route in a role table: method and template.
_NAME = re.compile(r"(?:[A-Z][A-Z-]*|\*) /\S*")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BoundRule:
    """The rule of a route that the router has. `sufficient` are the roles that satisfy it; None where any does."""

    path: str
    rule: AccessRule
    sufficient: frozenset[str] | None


class RoleTable:
    """`{"GET /reports": only("admin")}`. A route without a rule of its own is closed to everybody."""

    def __init__(self, rules: Mapping[str, AccessRule], roles: Roles) -> None:
        """Raises ConfigurationError for a name that no route has, and for a role that there is not."""
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
        # By the route itself: what a request has found is not always the only route of its name.
        self._bound: dict[AbstractRoute, BoundRule] = {}

    def names(self) -> list[str]:
        """All routes that have a rule, as they were given."""
        return list(self._rules)

    def decide(self, name: str, role: str | None) -> Decision:
        """Whether a caller of that role may call the route of that name; None is a caller without a token."""
        return self._roles.decide(self._rules[name], role)

    def rule_of(self, request: web.Request) -> BoundRule | None:
        """The rule of the route that was found; None where none was (404, 405)."""
        route = request.match_info.route
        rule = self._bound.get(route)
        if rule is None and request.match_info.http_exception is None:
            rule = self._first_seen(route, request.app.router)
        return rule

    def _first_seen(self, route: AbstractRoute, router: web.UrlDispatcher) -> BoundRule:
        name = _name_of(route)
        listed = route in router.routes()
        rule = self._rules.get(name)
        if rule is None or not listed or name in _shared_names(router).keys() | _names_that_take_head(router):
            _log.error("a route without a rule of its own is closed: %(route)s", {"route": name})
            rule = only()
        bound = BoundRule(_template_of(route), rule, self._roles.sufficient(rule))
        if listed:
            # Others may be made for each request.
            self._bound[route] = bound
        return bound

    def require_all(self, router: web.UrlDispatcher) -> None:
        """Raises ConfigurationError for a route without a rule, a rule without a route, and two routes of one name."""
        names = {_name_of(route) for route in router.routes()}
        problems = [f"route {name}: has no rule; add it to access" for name in sorted(names - self._rules.keys())]
        problems += [f"access {name!r}: there is no such route" for name in sorted(self._rules.keys() - names)]
        problems += [
            f"route {name}: is not the only one of that name ({'; '.join(sorted(places))}); "
            "one rule can't be for all of them: give each another path, or its variable another name"
            for name, places in sorted(_shared_names(router).items())
        ]
        problems += [
            f"route {name}: would answer HEAD, which has the rule of GET; add a route for HEAD to that of GET"
            for name in sorted(_names_that_take_head(router))
        ]
        if problems:
            raise ConfigurationError(problems)


def _name_of(route: AbstractRoute) -> str:
    """Method and template; HEAD as GET (RFC 9110 section 9.3.2). The method is * where a route takes them all."""
    method = hdrs.METH_GET if route.method == hdrs.METH_HEAD else route.method
    return f"{method} {_template_of(route)}"


def _template_of(route: AbstractRoute) -> str:
    return (route.resource.canonical if route.resource is not None else "") or "/"


def _shared_names(router: web.UrlDispatcher) -> dict[str, set[str]]:
    """Names that do not tell which of several resources is meant, with where each of these is.

    Templates say neither the host nor the pattern of a variable, and a resource that takes all methods answers for
    others of its template. Routes of one resource never share a name, but GET and HEAD, which are one.
    """
    by_template = defaultdict(list)
    for route, place in _places(router):
        by_template[_template_of(route)].append((route, place))
    shared: dict[str, set[str]] = defaultdict(set)
    for routes in by_template.values():
        for route, place in routes:
            rivals = [
                other
                for other, _ in routes
                if other.resource is not route.resource
                and (_name_of(other) == _name_of(route) or hdrs.METH_ANY in {other.method, route.method})
            ]
            if rivals:
                shared[_name_of(route)].add(place)
    return shared


def _names_that_take_head(router: web.UrlDispatcher) -> set[str]:
    """Routes for all methods that would answer HEAD beside a GET, by another rule than that."""
    methods = defaultdict(set)
    for route in router.routes():
        methods[route.resource].add(route.method)
    return {
        _name_of(route)
        for route in router.routes()
        if route.method == hdrs.METH_ANY
        and hdrs.METH_GET in methods[route.resource]
        and hdrs.METH_HEAD not in methods[route.resource]
    }


def _places(router: web.UrlDispatcher, within: str = "") -> Iterator[tuple[AbstractRoute, str]]:
    """Each route with what tells it from others: its handler, its pattern or folder, and its domain."""
    for resource in router.resources():
        info = resource.get_info()
        if isinstance(resource, MatchedSubAppResource):
            yield from _places(info["app"].router, f"{within} on {info['rule'].canonical}")
        elif isinstance(resource, PrefixedSubAppResource):
            yield from _places(info["app"].router, within)
        else:
            where = info["pattern"].pattern if "pattern" in info else info.get("directory", resource.canonical or "/")
            for route in resource:
                handler = f"{route.handler.__module__}.{getattr(route.handler, '__qualname__', '?')}"
                yield route, f"{route.method} {where}{within} is {handler}"
