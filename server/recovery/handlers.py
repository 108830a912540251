"""Handlers of forgotten passwords, and of signing in by a mailed code."""

from __future__ import annotations

from aiohttp import web

from server.http.requests import body_of, client_of
from server.http.responses import empty_response, json_response
from server.recovery.model import Link
from server.recovery.schemas import CodeLoginBody, IdentifierBody, PasswordResetBody
from server.services import services_of
from server.sessions.cookies import (
    browser_cookie_of,
    browser_of,
    device_cookie_of,
    refuse_cross_site,
    set_browser_cookie,
    set_device_cookie,
)
from server.sessions.handlers import tokens_response


async def forgot_password(request: web.Request) -> web.Response:
    """POST /password/forgot: the same answer and the same work for every name."""
    body = await body_of(request, IdentifierBody)
    services = services_of(request)
    browser = browser_of(request, services.ids)
    await services.recovery.requests.forgotten_password(body.identifier, client_of(request).ip, browser)
    response = empty_response(status=202)
    set_browser_cookie(response, browser)
    return response


async def reset_password(request: web.Request) -> web.Response:
    """POST /password/reset."""
    body = await body_of(request, PasswordResetBody)
    services, address = services_of(request), client_of(request).ip
    proof, resets = body.proof(browser_cookie_of(request)), services.recovery.resets
    if isinstance(proof, Link) and not resets.is_mailed(proof.token):
        await services.user_passwords.reset(proof.token, body.new_password, address)
    else:
        await resets.reset(proof, body.new_password, address)
    return empty_response()


async def ask_for_code(request: web.Request) -> web.Response:
    """POST /login/code: the same answer and the same work for every name."""
    body = await body_of(request, IdentifierBody)
    services = services_of(request)
    browser = browser_of(request, services.ids)
    challenge = await services.recovery.requests.sign_in_code(body.identifier, client_of(request).ip, browser)
    response = json_response({"challenge": challenge}, 202)
    set_browser_cookie(response, browser)
    return response


async def log_in_with_code(request: web.Request) -> web.Response:
    """POST /login/code/confirm."""
    body = await body_of(request, CodeLoginBody)
    services = services_of(request)
    if body.cookie:
        refuse_cross_site(request, services.settings)
    services.recovery.requests.require_sign_in_codes()
    client, proof = client_of(request), body.proof(browser_cookie_of(request))
    signing_in = services.recovery.sign_in_codes.log_in(proof, client.ip, device_cookie_of(request))
    with services.watchers.outcomes.login:
        async with signing_in as authenticated:
            tokens = await services.sessions.open(authenticated, client)
    response = tokens_response(tokens, in_cookie=body.cookie)
    set_device_cookie(response, services.authentication.device_cookie(authenticated))
    return response
