"""What users do with their own account."""

from __future__ import annotations

from aiohttp import web

from server.context import claims_of, services_of
from server.web.handlers.parse import body_of
from server.web.problem import empty_response, json_response
from server.web.schemas import PasswordResetBody, ProfileBody, user_json


async def get_me(request: web.Request) -> web.Response:
    """GET /me."""
    user = await services_of(request).users.get(claims_of(request).subject)
    return json_response({"user": user_json(user)})


async def update_me(request: web.Request) -> web.Response:
    """PATCH /me."""
    body = await body_of(request, ProfileBody)
    user = await services_of(request).users.rename(claims_of(request).subject, body.name)
    return json_response({"user": user_json(user)})


async def reset_password(request: web.Request) -> web.Response:
    """POST /password/reset."""
    body = await body_of(request, PasswordResetBody)
    await services_of(request).users.reset_password(body.reset_token, body.new_password)
    return empty_response()
