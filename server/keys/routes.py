"""GET /.well-known/jwks.json: the public keys."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.http.responses import document_response, has_etag, not_modified_response
from server.http.route import Route
from server.keys.schemas import JwksAnswer
from server.services import services_of
from watchword_client.access import ANYONE


async def jwks(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json. Caches may keep it for half the time that keys are published before they sign."""
    services = services_of(request)
    document = services.keys.current.jwks()
    headers: dict[str, str] = {
        hdrs.CACHE_CONTROL: f"public, max-age={services.settings.keys.jwks_max_age_seconds}",
        hdrs.ETAG: f'"{document.etag}"',
        # The keys are public: a page of any origin may verify tokens.
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    }
    if has_etag(request, document.etag):
        return not_modified_response(headers)
    return document_response(document.body, "application/jwk-set+json", headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=jwks,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="The public keys that verify our tokens (RFC 7517)",
        content_type="application/jwk-set+json",
        answers={200: JwksAnswer},
    ),
)
