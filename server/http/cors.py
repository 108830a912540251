"""CORS with credentials, for exact origins (the Fetch standard, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from server.http.responses import REQUEST_ID_HEADER, empty_response

_PREFLIGHT_SECONDS = "600"
_EXPOSED = "X-Request-Id, Location, Retry-After, WWW-Authenticate"


class Cors:
    """Decides which pages may read answers. Without origins in the settings it does nothing."""

    def __init__(self, origins: Sequence[str], headers: Sequence[str]) -> None:
        self._origins = frozenset(origins)
        self._headers = ", ".join([hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, *headers])
        self.active = bool(origins)

    def decorate(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let a page of an allowed origin read the answer. Caches must know that it depends on the origin."""
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in self._origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def preflight(self, request: web.Request, error: web.HTTPException, request_id: str) -> web.Response | None:
        """Answer a preflight, the OPTIONS request that a browser sends first.

        No route accepts OPTIONS, so `error` is the router's 405, which has the methods of the path.
        """
        asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if (
            asked is None
            or request.method != hdrs.METH_OPTIONS
            or not isinstance(error, web.HTTPMethodNotAllowed)
            or request.headers.get(hdrs.ORIGIN) not in self._origins
        ):
            return None
        response = empty_response(
            {
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(error.allowed_methods)),
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: self._headers,
                hdrs.ACCESS_CONTROL_MAX_AGE: _PREFLIGHT_SECONDS,
            }
        )
        response.headers[REQUEST_ID_HEADER] = request_id
        return response
