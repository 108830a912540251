"""The routes of pages and their files."""

from __future__ import annotations

from server.core.errors import NotFound
from server.http.route import Route
from server.pages import handlers
from server.pages.schemas import PageSettingsAnswer, PageSettingsQuery
from watchword_client.access import ANYONE


def _page(path: str, summary: str) -> Route:
    """A browser sends no token when it opens a page, so the settings can't ask for one. The page has no data."""
    return Route(
        method="GET",
        path=path,
        handler=handlers.page_at(path),
        access=ANYONE,
        fixed=True,
        tag="Pages",
        summary=summary,
        content_type="text/html",
        answers={200: None, 304: None},
    )


# Also without the pages for people: /docs and /inspect need them.
FILES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/assets/{version}/{file}",
        handler=handlers.asset,
        access=ANYONE,
        fixed=True,
        tag="Pages",
        summary="A style, script or other file of the pages",
        content_type="*/*",
        answers={200: None, 304: None},
        errors=(NotFound,),
    ),
    Route(
        method="GET",
        path="/favicon.ico",
        handler=handlers.favicon,
        access=ANYONE,
        fixed=True,
        tag="Pages",
        summary="The icon",
        content_type="image/svg+xml",
        answers={200: None, 304: None},
    ),
)

# The pages for people; `pages.enabled` switches them off.
PAGES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/",
        handler=handlers.front,
        access=ANYONE,
        fixed=True,
        tag="Pages",
        summary="Leads to the account",
        answers={303: None},
        headers={"Location": "/account"},
    ),
    _page("/sign-in", "Sign in, in a browser"),
    _page("/sign-up", "Create an account, in a browser"),
    _page("/invitation", "Create an account by an invitation, in a browser"),
    _page("/reset-password", "Set a new password, in a browser"),
    _page("/confirm-email", "Confirm an email address by a link or a code, in a browser"),
    _page("/account", "Look after your account, in a browser"),
    _page("/console", "Administer this server, in a browser"),
    Route(
        method="GET",
        path="/pages/settings",
        handler=handlers.page_settings,
        access=ANYONE,
        fixed=True,
        tag="Pages",
        summary="What the pages have to know of this server",
        query=PageSettingsQuery,
        answers={200: PageSettingsAnswer},
    ),
)

ROUTES: tuple[Route, ...] = (*FILES, *PAGES)
