"""Cookies that no script can read, and the check against requests of other sites.

In browser mode the refresh token is in a cookie. Every login sets the device cookie. Whoever asks for a mail with a
link gets the browser cookie.
"""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from server.core.ids import Ids
from server.http.errors import CsrfRefused
from server.settings import Settings
from watchword_client.encoding import encode_base64url

# `__Host-`: the browser takes it only with Secure, Path=/ and without Domain, so no other host can plant one
# (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2).
SESSION_COOKIE = "__Host-watchword"
DEVICE_COOKIE = "__Host-watchword-device"
# The longest time for which browsers keep a cookie (draft-ietf-httpbis-rfc6265bis, section 5.5). Each login renews it.
DEVICE_SECONDS = 400 * 86_400
# By it a mailed link works with one press in the browser that has asked for it, and nowhere else.
BROWSER_COOKIE = "__Host-watchword-browser"
# As long as the longest life of a mailed link.
BROWSER_SECONDS = 7 * 86_400
_BROWSER_BYTES = 32
# 32 bytes in base64url.
_BROWSER_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_WHITE_SPACE = " \t"


def set_session_cookie(response: web.Response, refresh_token: str, max_age_seconds: int) -> None:
    """Keep the refresh token in the browser until it expires."""
    _set_cookie(response, SESSION_COOKIE, refresh_token, max_age_seconds)


def set_device_cookie(response: web.Response, device_cookie: str) -> None:
    """Make this a known device. The cookie gives no access, and programs may ignore it."""
    _set_cookie(response, DEVICE_COOKIE, device_cookie, DEVICE_SECONDS)


def device_cookie_of(request: web.Request) -> str | None:
    """The device cookie of an earlier login; None if there is none."""
    return _value_of(request, DEVICE_COOKIE)


def browser_cookie_of(request: web.Request) -> str | None:
    """The browser cookie; None if there is none, or one that was not made here."""
    value = _value_of(request, BROWSER_COOKIE)
    return value if value is not None and _BROWSER_VALUE.fullmatch(value) else None


def browser_of(request: web.Request, ids: Ids) -> str:
    """The browser cookie, or a new one for `set_browser_cookie`."""
    return browser_cookie_of(request) or encode_base64url(ids.random_bytes(_BROWSER_BYTES))


def set_browser_cookie(response: web.Response, browser: str) -> None:
    """Know this browser when a mailed link is used in it. The cookie gives no access, and is kept for longer again."""
    _set_cookie(response, BROWSER_COOKIE, browser, BROWSER_SECONDS)


def clear_session_cookie(response: web.Response) -> None:
    """Delete the cookie in the browser."""
    response.del_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")


def session_cookie_of(request: web.Request, settings: Settings) -> str | None:
    """The refresh token of the cookie; None if there is none. Raises CsrfRefused if another site sent the request."""
    token = _value_of(request, SESSION_COOKIE)
    if not token:
        return None
    refuse_cross_site(request, settings)
    return token


def _set_cookie(response: web.Response, name: str, value: str, max_age_seconds: int) -> None:
    response.set_cookie(name, value, max_age=max_age_seconds, path="/", secure=True, httponly=True, samesite="Strict")


def _value_of(request: web.Request, name: str) -> str | None:
    """The value of the one cookie of exactly that name; None if there is none, or more than one.

    The header is read as browsers write it (RFC 6265 section 5.4): a cookie ends only at a semicolon, its name ends at
    the first equals sign, quotes belong to the value, and only SP and HTAB are removed around it. `request.cookies` is
    not used, since it also splits inside values, removes other white space and undoes quotes. Then another host of the
    same site could set a cookie with a harmless name that is read as one of ours.
    """
    values = []
    for field in request.headers.getall(hdrs.COOKIE, ()):
        for pair in field.split(";"):
            given, equals, value = pair.partition("=")
            if equals and given.strip(_WHITE_SPACE) == name:
                values.append(value.strip(_WHITE_SPACE))
    return values[0] if len(values) == 1 else None


def refuse_cross_site(request: web.Request, settings: Settings) -> None:
    """Raise CsrfRefused if a page of another origin made the request, and the origin is not in `cors.origins`.

    Browsers send Sec-Fetch-Site (Fetch Metadata) or Origin (RFC 6454), and pages can't forge either. A client that
    sends neither is not a browser, so somebody has given it the cookie on purpose. With a `server.public_url` the own
    origin is that one, whatever `Host` says.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin in settings.cors.origins:
        return
    public_url = settings.server.public_url
    if origin is not None and public_url:
        if origin != public_url:
            raise CsrfRefused(f"This server is used at {public_url}: open its pages there.")
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site.lower() != "same-origin":
            raise CsrfRefused
    elif origin is not None:
        # Behind a proxy that terminates TLS, the server does not know its own scheme.
        host = request.headers.get(hdrs.HOST)
        if origin not in {f"https://{host}", f"http://{host}"}:
            raise CsrfRefused
