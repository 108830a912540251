"""GET /audit for admins, and one's own part of it: GET /me/sign-ins."""

from __future__ import annotations

import re

from aiohttp import web

from server.access.rules import ADMIN
from server.audit.schemas import AuditAnswer, AuditQuery, SignInsAnswer, SignInsQuery, audit_json, sign_in_json
from server.core.errors import StoreUnavailable
from server.http.auth_middleware import principal_of
from server.http.body import read_query
from server.http.cursor import page_of, position_of
from server.http.responses import json_response
from server.http.route import Route
from server.services import services_of
from watchword_client.access import ANY_USER

_SEQ = re.compile(r"[1-9][0-9]{0,17}")


def _seq_in(text: str) -> int | None:
    return int(text) if _SEQ.fullmatch(text) else None


async def list_events(request: web.Request) -> web.Response:
    """GET /audit."""
    query = read_query(request, AuditQuery)
    query.require_order()
    found = await services_of(request).audit.page(
        limit=query.limit + 1,
        before_seq=position_of(query.cursor, _seq_in),
        event=query.event,
        actor=query.actor,
        target=query.target,
        user=query.user,
        from_at=query.from_at,
        to_at=query.to_at,
    )
    page, next_cursor = page_of(found, query.limit, lambda record: record.seq)
    return json_response({"events": [audit_json(record) for record in page], "next_cursor": next_cursor})


async def list_my_sign_ins(request: web.Request) -> web.Response:
    """GET /me/sign-ins."""
    query = read_query(request, SignInsQuery)
    before_seq = position_of(query.cursor, _seq_in)
    found = await services_of(request).audit.sign_ins(principal_of(request).subject, query.limit + 1, before_seq)
    page, next_cursor = page_of(found, query.limit, lambda sign_in: sign_in.seq)
    return json_response({"sign_ins": [sign_in_json(sign_in) for sign_in in page], "next_cursor": next_cursor})


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
    Route(
        method="GET",
        path="/me/sign-ins",
        handler=list_my_sign_ins,
        access=ANY_USER,
        tag="Own account",
        summary="Who has signed in to your account, or has tried to, the newest first",
        query=SignInsQuery,
        answers={200: SignInsAnswer},
        errors=(StoreUnavailable,),
    ),
)
