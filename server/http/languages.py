"""The languages that a request prefers."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

LANGUAGE_COOKIE = "watchword-language"


def preferred_languages(request: web.Request) -> tuple[str, ...]:
    """Primary language tags, the best one first: that of the cookie, then those of Accept-Language.

    `de-AT` asks for `de` (RFC 9110 section 12.5.4). Languages that are alike in weight are in the order in which they
    are named, and what follows `*` is left out.
    """
    headers = request.headers
    if hdrs.COOKIE not in headers and hdrs.ACCEPT_LANGUAGE not in headers:
        # It is asked for each change, of which most come from programs that name none.
        return ()
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    found = [] if chosen is None else [chosen]
    weights = weights_of(headers.getall(hdrs.ACCEPT_LANGUAGE, ()))
    for name, weight in sorted(weights, key=lambda entry: -entry[1]):
        if weight <= 0 or name == "*":
            break
        found.append(name.partition("-")[0])
    return tuple(found)


def weights_of(fields: Iterable[str]) -> list[tuple[str, float]]:
    """The names in these fields, in lower case, each with its weight. A weight that can't be read counts as 0."""
    found = []
    for entry in ",".join(fields).split(","):
        name, _, rest = entry.partition(";")
        key, equals, value = rest.replace(" ", "").lower().partition("=")
        weight = 1.0
        if key == "q" and equals:
            weight = float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else 0.0
        if name.strip():
            found.append((name.strip().lower(), weight))
    return found
