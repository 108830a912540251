"""Handlers for users' own accounts, and for admins' changes of all accounts."""

from __future__ import annotations

from aiohttp import web

from server.core.ids import id_in
from server.http.auth_middleware import principal_of
from server.http.body import read_query
from server.http.cursor import page_of, position_of
from server.http.requests import body_of, id_of
from server.http.responses import empty_response, json_response
from server.services import services_of
from server.sessions.recent import is_recent, require_recent
from server.users.changes import UserChange
from server.users.model import UserFilter
from server.users.schemas import (
    NewUserBody,
    PasswordBody,
    ProfileBody,
    UserChangeBody,
    UsersQuery,
    user_json,
)


async def get_me(request: web.Request) -> web.Response:
    """GET /me."""
    user = await services_of(request).users.get(principal_of(request).subject)
    return json_response({"user": user_json(user)})


async def update_me(request: web.Request) -> web.Response:
    """PATCH /me."""
    body = await body_of(request, ProfileBody)
    user = await services_of(request).users.update(principal_of(request).subject, name=body.name)
    return json_response({"user": user_json(user)})


async def change_password(request: web.Request) -> web.Response:
    """POST /me/password: change the password and end all other sessions."""
    body = await body_of(request, PasswordBody)
    principal = principal_of(request)
    await services_of(request).user_passwords.change(
        principal.subject, principal.session_id, body.current_password, body.new_password
    )
    return empty_response()


async def list_users(request: web.Request) -> web.Response:
    """GET /users."""
    query = read_query(request, UsersQuery)
    after_id = position_of(query.cursor, id_in)
    wanted = UserFilter(query.limit + 1, after_id, query.q, query.role, query.disabled)
    found = await services_of(request).users.list(wanted)
    page, next_cursor = page_of(found, query.limit, lambda user: user.id)
    return json_response({"users": [user_json(user) for user in page], "next_cursor": next_cursor})


async def create_user(request: web.Request) -> web.Response:
    """POST /users."""
    body = await body_of(request, NewUserBody)
    users = services_of(request).users
    if users.is_admin_role(body.role):
        await require_recent(request)
    created = await users.create(body.username, body.name, body.role, body.password, body.email)
    answer: dict[str, object] = {"user": user_json(created.user)}
    if created.reset_token is not None:
        answer["reset_token"] = created.reset_token
    return json_response(answer, 201, {"Location": f"/users/{created.user.id}"})


async def get_user(request: web.Request) -> web.Response:
    """GET /users/{user_id}."""
    user = await services_of(request).users.get(id_of(request, "user_id"))
    return json_response({"user": user_json(user)})


async def update_user(request: web.Request) -> web.Response:
    """PATCH /users/{user_id}."""
    user_id = id_of(request, "user_id")
    body = await body_of(request, UserChangeBody)
    change: UserChange = {"name": body.name, "role": body.role, "disabled": body.disabled, "username": body.username}
    if "email" in body.model_fields_set:
        change["email"] = body.email
    # Only the transaction knows role and address before, and it must not wait for another look at the store.
    harmless = body.role is None and body.disabled is not False and "email" not in change
    recent = harmless or await is_recent(request)
    user = await services_of(request).users.update(user_id, recent=recent, **change)
    return json_response({"user": user_json(user)})


async def delete_user(request: web.Request) -> web.Response:
    """DELETE /users/{user_id}."""
    await services_of(request).users.delete(id_of(request, "user_id"))
    return empty_response()


async def make_reset_token(request: web.Request) -> web.Response:
    """POST /users/{user_id}/password-reset."""
    services = services_of(request)
    token = await services.user_passwords.request_reset(id_of(request, "user_id"))
    return json_response({"reset_token": token, "expires_in": services.settings.passwords.reset_ttl_seconds})
