"""An API whose users log in at a Watchword. It verifies their tokens itself, with the keys that Watchword publishes."""

from __future__ import annotations

import os

from aiohttp import web

from watchword_client import ANY_USER, ANYONE, RemoteKeySet, TokenVerifier, claims_of, only, protect

WATCHWORD_URL = os.environ.get("WATCHWORD_URL", "http://127.0.0.1:8080")
PORT = int(os.environ.get("PORT", "8090"))
# The settings tokens.issuer and tokens.audience of the Watchword.
ISSUER = os.environ.get("WATCHWORD_ISSUER", "my-api")
AUDIENCE = os.environ.get("WATCHWORD_AUDIENCE", "my-api")

# Who may call what. A route that is forgotten here does not start.
ACCESS = {
    "GET /public": ANYONE,
    "GET /orders": ANY_USER,
    "GET /reports": only("admin"),
}

routes = web.RouteTableDef()


@routes.get("/public")
async def public(_: web.Request) -> web.Response:
    """Nobody is asked for a token here."""
    return web.json_response({"message": "Everybody may read this."})


@routes.get("/orders")
async def orders(request: web.Request) -> web.Response:
    """Each user sees their own orders. `claims.subject` is the id to look them up by; a username may change hands."""
    claims = claims_of(request)
    return web.json_response({"orders": ["tea", "biscuits"], "for": claims.username})


@routes.get("/reports")
async def reports(_: web.Request) -> web.Response:
    """Whoever comes here is an admin: the table has seen to that."""
    return web.json_response({"reports": ["2 orders today"]})


def make_app() -> web.Application:
    """The routes behind the table."""
    keys = RemoteKeySet(f"{WATCHWORD_URL.rstrip('/')}/.well-known/jwks.json")
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    app = web.Application()
    app.add_routes(routes)
    protect(app, verifier, ACCESS)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=PORT)
