"""What a browser prefers: languages, and whether it takes gzip."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from server.core.language import best_language
from server.http.languages import preferred_languages, weights_of


def language_of(request: web.Request, offered: Sequence[str]) -> str:
    """The language of the cookie, or else the best of Accept-Language, or the first offered."""
    return best_language(preferred_languages(request), offered)


def takes_gzip(request: web.Request) -> bool:
    """Whether an answer may be compressed (RFC 9110 section 12.5.3)."""
    weights = dict(weights_of(request.headers.getall(hdrs.ACCEPT_ENCODING, ())))
    return weights.get("gzip", weights.get("*", 0.0)) > 0
