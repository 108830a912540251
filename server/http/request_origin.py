"""Who acts in a request, for whatever asks while it is answered or afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from server.core.origin import Origin
from server.http.auth_middleware import PRINCIPAL
from server.http.client_ip import client_ip
from server.http.context import REQUEST_ID
from server.http.languages import preferred_languages
from server.settings.networks import Network

_NOTHING_CHANGES = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


class RequestOrigin:
    """A source of origin.py, which computes the origin when it is asked for.

    It is in the context of the request. A database connection that the request opened, and a timer that it started,
    keep that context for as long as they live. So at its end the request with its credentials is dropped.
    """

    __slots__ = ("_origin", "_request", "_trusted")

    def __init__(self, request: web.Request, trusted: Sequence[Network]) -> None:
        self._request: web.Request | None = request
        self._trusted = trusted
        self._origin = Origin("http")

    def __call__(self) -> Origin:
        """Caller, address, request id and languages. A change asks for it, so it is after the auth middleware."""
        if self._request is not None:
            return _origin_of(self._request, self._trusted)
        return self._origin

    def end(self) -> None:
        """The request is answered, or its client has left. Work that it has begun may still go on."""
        if self._request is not None and self._request.method not in _NOTHING_CHANGES:
            self._origin = _origin_of(self._request, self._trusted)
        self._request = None


def _origin_of(request: web.Request, trusted: Sequence[Network]) -> Origin:
    principal = request.get(PRINCIPAL)
    return Origin(
        "http",
        None if principal is None else principal.subject,
        None if principal is None else principal.username,
        client_ip(request, trusted),
        request[REQUEST_ID],
        preferred_languages(request),
    )
