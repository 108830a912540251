"""What admins do with accounts."""

from __future__ import annotations

from aiohttp import web

from server.context import services_of
from server.errors import InvalidRequest
from server.store.records import UserFilter
from server.web.body import read_query
from server.web.handlers.parse import body_of, id_of
from server.web.problem import json_response
from server.web.schemas import NewUserBody, UsersQuery, cursor_after, id_of_cursor, user_json


async def list_users(request: web.Request) -> web.Response:
    """GET /users. One user more than asked for is read, to know whether there is a next page."""
    query = read_query(request, UsersQuery)
    after_id = None
    if query.cursor is not None:
        after_id = id_of_cursor(query.cursor)
        if after_id is None:
            raise InvalidRequest([("cursor", "This is not a cursor of this list.")])
    wanted = UserFilter(query.limit + 1, after_id, query.q, query.role, query.disabled)
    found = await services_of(request).users.list(wanted)
    page = found[: query.limit]
    next_cursor = cursor_after(page[-1].id) if len(found) > query.limit else None
    return json_response({"users": [user_json(user) for user in page], "next_cursor": next_cursor})


async def create_user(request: web.Request) -> web.Response:
    """POST /users."""
    body = await body_of(request, NewUserBody)
    created = await services_of(request).users.create(body.username, body.name, body.role, body.password)
    answer: dict[str, object] = {"user": user_json(created.user)}
    if created.reset_token is not None:
        answer["reset_token"] = created.reset_token
    return json_response(answer, 201, {"Location": f"/users/{created.user.id}"})


async def get_user(request: web.Request) -> web.Response:
    """GET /users/{user_id}."""
    user = await services_of(request).users.get(id_of(request, "user_id"))
    return json_response({"user": user_json(user)})
