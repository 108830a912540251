"""Who did what."""

from __future__ import annotations

from aiohttp import web

from server.context import services_of
from server.errors import InvalidRequest
from server.web.audit_schemas import AuditQuery, audit_json, cursor_before, seq_of_cursor
from server.web.body import read_query
from server.web.problem import json_response


async def list_events(request: web.Request) -> web.Response:
    """GET /audit. One record more than asked for is read, to know whether there is a next page."""
    query = read_query(request, AuditQuery)
    before_seq = None
    if query.cursor is not None:
        before_seq = seq_of_cursor(query.cursor)
        if before_seq is None:
            raise InvalidRequest([("cursor", "This is not a cursor of this list.")])
    found = await services_of(request).audit.page(
        limit=query.limit + 1, before_seq=before_seq, event=query.event, actor=query.actor, target=query.target
    )
    page = found[: query.limit]
    next_cursor = cursor_before(page[-1].seq) if len(found) > query.limit else None
    return json_response({"events": [audit_json(record) for record in page], "next_cursor": next_cursor})
