"""A page as it is sent, and its header fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import hdrs, web

from server.http.responses import document_response, has_etag, not_modified_response
from server.pages.assets import Asset, compressed, etag_of
from server.pages.preferences import takes_gzip

# Scripts and styles are files of this server alone, nothing is inline, and no other site frames a page (Content
# Security Policy Level 3). Trusted Types: scripts can't turn text into markup or code.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    hdrs.CACHE_CONTROL: "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_HTML = "text/html; charset=utf-8"
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML document. `vary` names what the choice of this document depends on."""

    html: Asset
    headers: dict[str, str] = field(default_factory=dict)


def page_of(html: str, *, vary: str = "") -> Page:
    """The page of a complete document. `vary`: request headers on which the choice of this document depends."""
    body = html.encode("utf-8")
    varies = f"{hdrs.ACCEPT_ENCODING}, {vary}" if vary else hdrs.ACCEPT_ENCODING
    return Page(Asset(body, compressed(body), _HTML, etag_of(body)), _HEADERS | {hdrs.VARY: varies})


def page_response(request: web.Request, page: Page) -> web.Response:
    """Answer with a page, or with 304 if the browser has it."""
    return _answer(request, page.html, page.headers)


def asset_response(request: web.Request, asset: Asset, *, current: bool) -> web.Response:
    """Answer with a file. `current`: the path names the version of it, so it may be kept for good."""
    caching = _FOREVER if current else "no-cache"
    return _answer(request, asset, {hdrs.CACHE_CONTROL: caching, hdrs.VARY: hdrs.ACCEPT_ENCODING})


def _answer(request: web.Request, asset: Asset, headers: dict[str, str]) -> web.Response:
    gzipped = takes_gzip(request)
    # The two forms are different representations, so they have different tags (RFC 9110 section 8.8.3.3).
    etag = f"{asset.etag}-gzip" if gzipped else asset.etag
    headers = headers | {hdrs.ETAG: f'"{etag}"'}
    if has_etag(request, etag):
        return not_modified_response(headers)
    if gzipped:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return document_response(asset.gzipped if gzipped else asset.body, asset.content_type, headers)
