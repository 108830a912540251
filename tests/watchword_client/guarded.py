"""An application behind the guard, and tokens for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.clock import FakeClock
from tests.forging import AUDIENCE, ISSUER, NOW, claims_with, forge, header_of, signing_key, verification_key
from watchword_client.access import ANY_USER, ANYONE, AccessRule, only
from watchword_client.jwk import KeySet
from watchword_client.middleware import CLAIMS, claims_of, protect
from watchword_client.token_verifier import TokenVerifier

KEY = signing_key("ES256")
OTHER = signing_key("ES256", 2)

CUSTOMER = forge(KEY, header_of(KEY), claims_with())
ADMIN = forge(KEY, header_of(KEY), claims_with(role="admin", username="sahan"))
STRANGER = forge(KEY, header_of(KEY), claims_with(role="king"))
EXPIRED = forge(KEY, header_of(KEY), claims_with(iat=NOW - 20, exp=NOW - 10, role="admin"))
FORGED = forge(OTHER, header_of(OTHER, kid=KEY.kid), claims_with(role="admin"))
UNKNOWN = forge(OTHER, header_of(OTHER), claims_with(role="admin"))

ACCESS = {
    "GET /public": ANYONE,
    "GET /orders": ANY_USER,
    "POST /orders": only("customer"),
    "GET /orders/{order_id}": only("customer"),
    "DELETE /orders/{order_id}": only("admin"),
    "GET /reports": only("admin"),
    "* /anything": only("admin"),
    "GET /nobody": only(),
}


def a_verifier() -> TokenVerifier:
    return TokenVerifier(KeySet([verification_key(KEY)]), issuer=ISSUER, audience=AUDIENCE, clock=FakeClock())


async def who(request: web.Request) -> web.Response:
    """Tells whom the guard has let in."""
    claims = claims_of(request) if CLAIMS in request else None
    return web.json_response({"for": claims and claims.username, "role": claims and claims.role})


def application(access: Mapping[str, AccessRule] = ACCESS, *middlewares: Any) -> web.Application:
    app = web.Application(middlewares=middlewares)
    for name in access:
        method, _, path = name.partition(" ")
        app.router.add_route(method, path, who)
        if method == "GET":
            app.router.add_route("HEAD", path, who)
    return app


def protected(access: Mapping[str, AccessRule] = ACCESS, **options: Any) -> web.Application:
    app = application(access)
    protect(app, a_verifier(), access, **options)
    return app


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
