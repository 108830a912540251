"""What a browser prefers: languages, and whether it takes gzip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiohttp import hdrs, web

LANGUAGE_COOKIE = "watchword-language"


def language_of(request: web.Request, offered: Sequence[str]) -> str:
    """The language of the cookie, or else the best of Accept-Language (RFC 9110 section 12.5.4), or the first offered.

    `de-AT` asks for `de`. Languages that are alike in weight are taken in the order in which they are named.
    """
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen is not None and chosen in offered:
        return chosen
    weights = _weights(request.headers.getall(hdrs.ACCEPT_LANGUAGE, ()))
    for name, weight in sorted(weights, key=lambda entry: -entry[1]):
        primary = name.partition("-")[0]
        if weight > 0 and primary in offered:
            return primary
        if weight > 0 and name == "*":
            break
    return offered[0]


def takes_gzip(request: web.Request) -> bool:
    """Whether an answer may be compressed (RFC 9110 section 12.5.3)."""
    weights = dict(_weights(request.headers.getall(hdrs.ACCEPT_ENCODING, ())))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(fields: Iterable[str]) -> list[tuple[str, float]]:
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
