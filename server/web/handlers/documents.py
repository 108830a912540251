"""What the server says of itself: keys, routes, documentation."""

from __future__ import annotations

import orjson
from aiohttp import hdrs, web

from server.context import DOCUMENTS, services_of
from server.web.problem import json_response

JWKS_SECONDS = 300


async def jwks(request: web.Request) -> web.Response:
    """GET /.well-known/jwks.json. May be cached for less than a new key is published ahead of its first use."""
    services = services_of(request)
    body = orjson.dumps(services.keys.keyring.jwks(services.clock.now_ms()))
    return web.Response(
        body=body,
        headers={
            hdrs.CONTENT_TYPE: "application/jwk-set+json",
            hdrs.CACHE_CONTROL: f"public, max-age={JWKS_SECONDS}",
            # Keys are public: any page may verify tokens.
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
        },
    )


async def list_routes(request: web.Request) -> web.Response:
    """GET /routes."""
    return json_response({"routes": request.config_dict[DOCUMENTS].routes})


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    return web.Response(
        body=request.config_dict[DOCUMENTS].openapi,
        headers={hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-cache"},
    )


async def docs(request: web.Request) -> web.Response:
    """GET /docs: one page without a script, so the policy can forbid everything but its own style."""
    documents = request.config_dict[DOCUMENTS]
    return web.Response(
        body=documents.page,
        headers={
            hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": documents.page_policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )
