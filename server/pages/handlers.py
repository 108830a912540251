"""Handlers of pages, of their files, and of what they ask about this server."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.core.errors import NotFound
from server.http.body import read_query
from server.http.responses import add_common_headers, json_response
from server.http.route import Handler
from server.pages.page import asset_response, page_response
from server.pages.pages import PAGES
from server.pages.preferences import language_of
from server.pages.schemas import PageSettingsQuery
from server.services import services_of


async def front(_: web.Request) -> web.Response:
    """GET /: who is not signed in is led on from there."""
    response = web.Response(status=303, headers={hdrs.LOCATION: "/account"})
    add_common_headers(response)
    return response


def page_at(path: str) -> Handler:
    """Answers with the page of that path, in the language of the request."""

    async def page(request: web.Request) -> web.Response:
        pages = request.app[PAGES]
        found = pages.by_path[path]
        return page_response(request, found[language_of(request, pages.renderer.languages)])

    # OpenAPI calls the operation by it.
    page.__name__ = f"{path[1:].replace('-', '_')}_page"
    return page


async def asset(request: web.Request) -> web.Response:
    """GET /assets/{version}/{file}. For another version, as of a page from before an update, it is the current file."""
    assets = request.app[PAGES].assets
    found = assets.get(request.match_info["file"])
    if found is None:
        raise NotFound
    return asset_response(request, found, current=request.match_info["version"] == assets.version)


async def favicon(request: web.Request) -> web.Response:
    """GET /favicon.ico: what browsers ask for beside answers that name no icon."""
    found = request.app[PAGES].assets.get("icon.svg")
    if found is None:
        raise NotFound
    return asset_response(request, found, current=False)


async def page_settings(request: web.Request) -> web.Response:
    """GET /pages/settings."""
    origin = read_query(request, PageSettingsQuery).return_origin
    settings = services_of(request).settings
    return json_response(
        {
            "name": settings.pages.name,
            "languages": settings.pages.languages,
            "public_url": settings.server.public_url,
            "registration": {"mode": settings.registration.mode},
            "password": {"min_length": settings.passwords.min_length},
            "mail": {
                "enabled": settings.mail.enabled,
                "sign_in_codes": settings.mail.enabled and settings.mail.sign_in_codes,
            },
            "return_origin": origin if origin in settings.cors.origins else None,
        }
    )
