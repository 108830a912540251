"""The routes of keys: the public ones for everybody, and their life for admins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import hdrs, web

from server.access.rules import ADMIN
from server.core.errors import NotFound, StoreRefused, StoreUnavailable
from server.http.responses import document_response, empty_response, has_etag, json_response, not_modified_response
from server.http.route import ALWAYS, Route
from server.keys.errors import KeysInSettings, RotationUnderWay
from server.keys.schemas import JwksAnswer, KeysAnswer, keys_json
from server.services import services_of
from watchword_client.access import ANYONE

_log = structlog.get_logger("watchword.keys")


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


async def list_keys(request: web.Request) -> web.Response:
    """GET /keys. The store is asked, since another process may have changed the keys a moment ago."""
    services = services_of(request)
    await services.keys.current.refresh()
    return json_response({"keys": keys_json(services.keys.current.keyring, services.clock.now_ms())})


async def rotate(request: web.Request) -> web.Response:
    """POST /keys/rotate. It waits for the caches of the JWKS; only the command can do without."""
    with _master_key_needed():
        await services_of(request).keys.rotate(at_once=False)
    return empty_response()


async def revoke(request: web.Request) -> web.Response:
    """POST /keys/{kid}/revoke."""
    with _master_key_needed():
        await services_of(request).keys.revoke(request.match_info["kid"])
    return empty_response()


@contextmanager
def _master_key_needed() -> Iterator[None]:
    """The master key may be away or a wrong one, and the reason names files: it is for the log, not for the answer."""
    try:
        yield
    except StoreRefused as error:
        _log.error("the keys can't be changed", reason=str(error))
        raise StoreUnavailable from None


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
        answers={200: JwksAnswer, 304: None},
    ),
    Route(
        method="GET",
        path="/keys",
        handler=list_keys,
        access=ADMIN,
        tag="Keys",
        summary="The keys that sign, will sign or have signed",
        answers={200: KeysAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="POST",
        path="/keys/rotate",
        handler=rotate,
        access=ADMIN,
        tag="Keys",
        summary="Let the next key sign as soon as every cache of the JWKS knows it",
        answers={204: None},
        errors=(RotationUnderWay, KeysInSettings, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="POST",
        path="/keys/{kid}/revoke",
        handler=revoke,
        access=ADMIN,
        tag="Keys",
        summary="Revoke a key: its tokens are refused, and if it signs, the next one does",
        answers={204: None},
        errors=(NotFound, KeysInSettings, StoreUnavailable),
        recent=ALWAYS,
    ),
)
