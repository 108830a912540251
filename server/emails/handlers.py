"""Handlers of one's own addresses, and of their confirmation."""

from __future__ import annotations

from aiohttp import web

from server.core.errors import InvalidRequest
from server.emails.confirmations import Proof
from server.emails.schemas import ConfirmationBody, NewEmailBody, email_json
from server.http.auth_middleware import principal_of
from server.http.requests import body_of, client_of, id_of
from server.http.responses import empty_response, json_response
from server.services import services_of
from server.sessions.cookies import browser_cookie_of, browser_of, set_browser_cookie


async def list_emails(request: web.Request) -> web.Response:
    """GET /me/emails."""
    found = await services_of(request).emails.list(principal_of(request).subject)
    return json_response({"emails": [email_json(email) for email in found]})


async def add_email(request: web.Request) -> web.Response:
    """POST /me/emails: the answer is the same if the address is somebody else's."""
    body = await body_of(request, NewEmailBody)
    services, browser = services_of(request), browser_of(request, services_of(request).ids)
    await services.confirmations.add(principal_of(request).subject, body.email, browser, client_of(request).ip)
    return _mailed(browser)


async def send_confirmation(request: web.Request) -> web.Response:
    """POST /me/emails/{email_id}/send."""
    services, browser = services_of(request), browser_of(request, services_of(request).ids)
    email_id = id_of(request, "email_id")
    await services.confirmations.send(principal_of(request).subject, email_id, browser, client_of(request).ip)
    return _mailed(browser)


def _mailed(browser: str) -> web.Response:
    """The link of the mail works in the browser that gets this answer."""
    response = empty_response(status=202)
    set_browser_cookie(response, browser)
    return response


async def confirm_email(request: web.Request) -> web.Response:
    """POST /email/confirm: by the link in the browser that has asked for it, or else with the code."""
    body = await body_of(request, ConfirmationBody)
    if (body.token is None) is (body.email is None):
        raise InvalidRequest([("token", "Give the token of the link, or else the address and the code.")])
    if body.email is not None and body.code is None:
        raise InvalidRequest([("code", "Give the code of the mail to this address.")])
    proof = Proof(body.token, body.code, body.email, browser_cookie_of(request), client_of(request).ip)
    await services_of(request).confirmations.confirm(proof)
    return empty_response()


async def remove_email(request: web.Request) -> web.Response:
    """DELETE /me/emails/{email_id}."""
    await services_of(request).emails.remove(principal_of(request).subject, id_of(request, "email_id"))
    return empty_response()


async def make_primary(request: web.Request) -> web.Response:
    """POST /me/emails/{email_id}/primary."""
    await services_of(request).emails.make_primary(principal_of(request).subject, id_of(request, "email_id"))
    return empty_response()
