"""GET /audit."""

from __future__ import annotations

import re

from aiohttp import web

from server.access.rules import ADMIN
from server.audit.schemas import AuditAnswer, AuditQuery, audit_json
from server.core.errors import StoreUnavailable
from server.http.body import read_query
from server.http.cursor import page_of, position_of
from server.http.responses import json_response
from server.http.route import Route
from server.services import services_of

_SEQ = re.compile(r"[1-9][0-9]{0,17}")


def _seq_in(text: str) -> int | None:
    return int(text) if _SEQ.fullmatch(text) else None


async def list_events(request: web.Request) -> web.Response:
    """GET /audit."""
    query = read_query(request, AuditQuery)
    before_seq = position_of(query.cursor, _seq_in)
    found = await services_of(request).audit.page(
        limit=query.limit + 1, before_seq=before_seq, event=query.event, actor=query.actor, target=query.target
    )
    page, next_cursor = page_of(found, query.limit, lambda record: record.seq)
    return json_response({"events": [audit_json(record) for record in page], "next_cursor": next_cursor})


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/audit",
        handler=list_events,
        access=ADMIN,
        tag="Audit",
        summary="Who did what to whom, the newest first",
        query=AuditQuery,
        answers={200: AuditAnswer},
        errors=(StoreUnavailable,),
    ),
)
