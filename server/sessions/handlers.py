"""The list of a user's sessions, for the user and for admins."""

from __future__ import annotations

from aiohttp import web

from server.core.ids import id_in
from server.http.body import read_query
from server.http.cursor import cursor_of, position_of
from server.http.responses import json_response
from server.http.schemas import PageQuery, session_json
from server.services import services_of
from watchword_client.auth_middleware import claims_of


async def page_of_sessions(request: web.Request, user_id: str) -> web.Response:
    """One session more than asked for is read, to know whether there is a next page."""
    query = read_query(request, PageQuery)
    before_id = position_of(query.cursor, id_in)
    found = await services_of(request).sessions.list(user_id, query.limit + 1, before_id)
    page = found[: query.limit]
    current = claims_of(request).session_id
    next_cursor = cursor_of(page[-1].id) if len(found) > query.limit else None
    return json_response({"sessions": [session_json(session, current) for session in page], "next_cursor": next_cursor})
