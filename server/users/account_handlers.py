"""What users do with their own account."""

from __future__ import annotations

from aiohttp import web

from server.http.requests import body_of, client_of, id_of
from server.http.responses import empty_response, json_response
from server.http.schemas import PasswordBody, PasswordResetBody, ProfileBody, user_json
from server.services import services_of
from server.sessions.handlers import page_of_sessions
from watchword_client.auth_middleware import claims_of


async def get_me(request: web.Request) -> web.Response:
    """GET /me."""
    user = await services_of(request).users.get(claims_of(request).subject)
    return json_response({"user": user_json(user)})


async def update_me(request: web.Request) -> web.Response:
    """PATCH /me."""
    body = await body_of(request, ProfileBody)
    user = await services_of(request).users.update(claims_of(request).subject, name=body.name)
    return json_response({"user": user_json(user)})


async def change_password(request: web.Request) -> web.Response:
    """POST /me/password: all other sessions are over."""
    body = await body_of(request, PasswordBody)
    claims = claims_of(request)
    await services_of(request).users.change_password(
        claims.subject, claims.session_id, body.current_password, body.new_password
    )
    return empty_response()


async def list_my_sessions(request: web.Request) -> web.Response:
    """GET /me/sessions."""
    return await page_of_sessions(request, claims_of(request).subject)


async def end_my_session(request: web.Request) -> web.Response:
    """DELETE /me/sessions/{session_id}."""
    await services_of(request).sessions.end(id_of(request, "session_id"), claims_of(request).subject)
    return empty_response()


async def end_my_other_sessions(request: web.Request) -> web.Response:
    """DELETE /me/sessions: all but the one that asks."""
    claims = claims_of(request)
    await services_of(request).sessions.end_all(claims.subject, keep_session_id=claims.session_id)
    return empty_response()


async def reset_password(request: web.Request) -> web.Response:
    """POST /password/reset."""
    body = await body_of(request, PasswordResetBody)
    await services_of(request).users.reset_password(body.reset_token, body.new_password, client_of(request).ip)
    return empty_response()
