"""The names of routes in role tables, and the names that are ambiguous."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import AbstractRoute, MatchedSubAppResource, PrefixedSubAppResource


def name_of(route: AbstractRoute) -> str:
    """Method and template. HEAD counts as GET (RFC 9110 section 9.3.2); * stands for a route with all methods."""
    method = hdrs.METH_GET if route.method == hdrs.METH_HEAD else route.method
    return f"{method} {template_of(route)}"


def template_of(route: AbstractRoute) -> str:
    """`/users/{id}`; for static files their prefix."""
    return (route.resource.canonical if route.resource is not None else "") or "/"


def shared_names(router: web.UrlDispatcher) -> dict[str, set[str]]:
    """Names that several resources share, with the places of these resources.

    A template has neither the host nor the pattern of a variable, and a resource for all methods also answers for other
    resources of its template. Routes of one resource never share a name, except GET and HEAD, which count as one.
    """
    by_template = defaultdict(list)
    for route, place in _places(router):
        by_template[template_of(route)].append((route, place))
    shared: dict[str, set[str]] = defaultdict(set)
    for routes in by_template.values():
        for route, place in routes:
            rivals = [
                other
                for other, _ in routes
                if other.resource is not route.resource
                and (name_of(other) == name_of(route) or hdrs.METH_ANY in {other.method, route.method})
            ]
            if rivals:
                shared[name_of(route)].add(place)
    return shared


def names_that_take_head(router: web.UrlDispatcher) -> set[str]:
    """Names of routes for all methods that would answer HEAD on a resource whose GET has another rule."""
    methods = defaultdict(set)
    for route in router.routes():
        methods[route.resource].add(route.method)
    return {
        name_of(route)
        for route in router.routes()
        if route.method == hdrs.METH_ANY
        and hdrs.METH_GET in methods[route.resource]
        and hdrs.METH_HEAD not in methods[route.resource]
    }


def _places(router: web.UrlDispatcher, within: str = "") -> Iterator[tuple[AbstractRoute, str]]:
    """Each route with a text that tells it from others: its handler, its pattern or folder, and its domain."""
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
