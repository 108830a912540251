"""Handlers of login, refresh, logout, /verify, and the lists of sessions."""

from __future__ import annotations

import re
from urllib.parse import quote

from aiohttp import hdrs, web

from server.access.rules import require_role
from server.audit.model import AuditEvent
from server.authentication.errors import EmailNotConfirmed
from server.core.errors import Unauthorized
from server.core.ids import id_in
from server.http.auth_middleware import principal_of
from server.http.body import read_query
from server.http.context import REQUEST_ID
from server.http.cursor import page_of, position_of
from server.http.requests import body_of, client_of, id_of
from server.http.responses import empty_response, json_response, problem_response
from server.http.schemas import PageQuery
from server.services import services_of
from server.sessions.cookies import (
    browser_of,
    clear_session_cookie,
    device_cookie_of,
    refuse_cross_site,
    session_cookie_of,
    set_browser_cookie,
    set_device_cookie,
    set_session_cookie,
)
from server.sessions.errors import RefreshInvalid, SessionConflict
from server.sessions.issuing import IssuedTokens
from server.sessions.schemas import LoginBody, ReauthenticationBody, RefreshBody, VerifyQuery, session_json
from server.users.model import User
from watchword_client.bearer import bearer_token
from watchword_client.claims import AccessClaims
from watchword_client.errors import InsufficientRole

# Characters that are not encoded in a header field: visible ASCII except %.
_PLAIN_SIGNS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")
_PLAIN = re.compile(f"[{re.escape(_PLAIN_SIGNS)}]+")


async def log_in(request: web.Request) -> web.Response:
    """POST /login."""
    body = await body_of(request, LoginBody)
    services = services_of(request)
    if body.cookie:
        refuse_cross_site(request, services.settings)
    client = client_of(request)
    signing_in = services.authentication.log_in(body.username, body.password, client.ip, device_cookie_of(request))
    try:
        with services.watchers.outcomes.login:
            async with signing_in as authenticated:
                tokens = await services.sessions.open(authenticated, client)
    except EmailNotConfirmed as refused:
        # The password was right.
        return await _remind(request, authenticated.credentials.user, refused)
    response = tokens_response(tokens, in_cookie=body.cookie)
    set_device_cookie(response, services.authentication.device_cookie(authenticated))
    return response


async def _remind(request: web.Request, user: User, refused: EmailNotConfirmed) -> web.Response:
    """Mail again how the address is confirmed. The link works in this browser, which may be another one by now."""
    services, browser = services_of(request), browser_of(request, services_of(request).ids)
    await services.confirmations.remind(user, browser, client_of(request).ip)
    response = problem_response(refused, request[REQUEST_ID], services.settings.server.public_url)
    set_browser_cookie(response, browser)
    return response


async def refresh(request: web.Request) -> web.Response:
    """POST /refresh: with the token in the body, or in the browser's cookie."""
    sent, cookie = await _refresh_tokens(request)
    token = cookie or sent
    services = services_of(request)
    with services.watchers.outcomes.refresh:
        if token is None:
            raise RefreshInvalid("Send a refresh token.")
        await _refuse_other_bearer(request, token)
        # A failure does not delete the cookie: another tab may have logged in again meanwhile.
        tokens = await services.refresh_rotation.refresh(token, client_of(request).ip)
    return tokens_response(tokens, in_cookie=cookie is not None)


async def log_out(request: web.Request) -> web.Response:
    """POST /logout: end the session of the refresh token, or else of the bearer token. It may have ended already."""
    sent, cookie = await _refresh_tokens(request)
    services = services_of(request)
    token = cookie or sent
    if token is None:
        session_id = (await _bearer_claims(request)).session_id
    else:
        await _refuse_other_bearer(request, token)
        found = services.refresh_rotation.session_of(token)
        if found is None:
            if cookie is None:
                raise RefreshInvalid
            # The cookie is useless, and no script can delete it.
            response = problem_response(RefreshInvalid(), request[REQUEST_ID], services.settings.server.public_url)
            clear_session_cookie(response)
            return response
        session_id = found
    await services.sessions.log_out(session_id)
    response = empty_response()
    if cookie is not None:
        clear_session_cookie(response)
    return response


async def reauthenticate(request: web.Request) -> web.Response:
    """POST /reauthenticate: a new access token of the same session, whose sign-in is recent again."""
    body = await body_of(request, ReauthenticationBody)
    principal, services = principal_of(request), services_of(request)
    failed = AuditEvent.REAUTHENTICATION_FAILED
    authenticated = await services.authentication.reauthenticate(principal.subject, body.password, failed)
    return json_response(_access_token_json(await services.sessions.renew(principal.session_id, authenticated)))


async def _refresh_tokens(request: web.Request) -> tuple[str | None, str | None]:
    """The refresh tokens of body and cookie. Raises SessionConflict if they are of different sessions."""
    services = services_of(request)
    cookie = session_cookie_of(request, services.settings)
    sent = (await body_of(request, RefreshBody, optional=True)).refresh_token
    session_of = services.refresh_rotation.session_of
    if cookie is not None and sent is not None and session_of(cookie) != session_of(sent):
        raise SessionConflict
    return sent, cookie


async def _refuse_other_bearer(request: web.Request, refresh_token: str) -> None:
    """Raise SessionConflict if a valid bearer token is of another session. An invalid one is ignored."""
    if hdrs.AUTHORIZATION not in request.headers:
        return
    try:
        claims = await _bearer_claims(request)
    except Unauthorized:
        return
    if claims.session_id != services_of(request).refresh_rotation.session_of(refresh_token):
        raise SessionConflict


async def _bearer_claims(request: web.Request) -> AccessClaims:
    """Whose session it is; the role may be out of date, the session lives on."""
    return await services_of(request).authenticator.claims_of_session(bearer_token(request))


def tokens_response(tokens: IssuedTokens, *, in_cookie: bool) -> web.Response:
    """The answer to a login or a refresh: with `in_cookie` the refresh token is in the cookie."""
    answer = _access_token_json(tokens)
    if not in_cookie:
        answer["refresh_token"] = tokens.refresh_token
        answer["refresh_expires_in"] = tokens.refresh_expires_in
    response = json_response(answer)
    if in_cookie:
        set_session_cookie(response, tokens.refresh_token, tokens.refresh_expires_in)
    return response


def _access_token_json(tokens: IssuedTokens) -> dict[str, object]:
    return {"token": tokens.access_token, "token_type": "Bearer", "expires_in": tokens.expires_in}


async def verify(request: web.Request) -> web.Response:
    """GET /verify: the middleware has checked the token; this checks the role."""
    principal = principal_of(request)
    if request.query_string:
        wanted = read_query(request, VerifyQuery).role
        roles = services_of(request).roles
        if wanted is not None:
            require_role(roles, wanted)
            if not roles.has(principal.role, wanted):
                raise InsufficientRole(required=[wanted], role=principal.role)
    return empty_response(
        {
            "X-Auth-Subject": principal.subject,
            "X-Auth-Username": _field_value(principal.username),
            "X-Auth-Role": principal.role,
        }
    )


def _field_value(text: str) -> str:
    """A text for a header field: `%` and all but visible ASCII is percent-encoded UTF-8 (RFC 3986 section 2.1)."""
    # A quick check first, since nearly all names have only ASCII letters and digits.
    is_plain = (text.isascii() and text.isalnum()) or _PLAIN.fullmatch(text)
    return text if is_plain else quote(text, safe=_PLAIN_SIGNS)


async def list_my_sessions(request: web.Request) -> web.Response:
    """GET /me/sessions."""
    return await page_of_sessions(request, principal_of(request).subject)


async def end_my_session(request: web.Request) -> web.Response:
    """DELETE /me/sessions/{session_id}."""
    await services_of(request).sessions.end(id_of(request, "session_id"), principal_of(request).subject)
    return empty_response()


async def end_my_other_sessions(request: web.Request) -> web.Response:
    """DELETE /me/sessions: end all sessions but that of this request."""
    principal = principal_of(request)
    await services_of(request).sessions.end_all(principal.subject, keep_session_id=principal.session_id)
    return empty_response()


async def list_user_sessions(request: web.Request) -> web.Response:
    """GET /users/{user_id}/sessions."""
    services = services_of(request)
    user = await services.users.get(id_of(request, "user_id"))
    return await page_of_sessions(request, user.id)


async def end_user_sessions(request: web.Request) -> web.Response:
    """DELETE /users/{user_id}/sessions."""
    services = services_of(request)
    user = await services.users.get(id_of(request, "user_id"))
    await services.sessions.end_all(user.id)
    return empty_response()


async def page_of_sessions(request: web.Request, user_id: str) -> web.Response:
    """A page of the living sessions of a user, the newest first."""
    query = read_query(request, PageQuery)
    before_id = position_of(query.cursor, id_in)
    found = await services_of(request).sessions.list(user_id, query.limit + 1, before_id)
    page, next_cursor = page_of(found, query.limit, lambda session: session.id)
    current = principal_of(request).session_id
    return json_response({"sessions": [session_json(session, current) for session in page], "next_cursor": next_cursor})
