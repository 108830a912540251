"""The routes of mails, with their handlers."""

from __future__ import annotations

from aiohttp import web

from server.access.rules import ADMIN
from server.core.errors import NotFound, StoreUnavailable
from server.core.ids import id_in
from server.http.body import read_query
from server.http.cursor import page_of, position_of
from server.http.requests import id_of
from server.http.responses import empty_response, json_response
from server.http.route import Route
from server.mail.errors import MailNotRetryable
from server.mail.outbox_model import MailState
from server.mail.schemas import MailsAnswer, MailsQuery, mail_json
from server.services import services_of

_TAG = "Mails"


async def list_mails(request: web.Request) -> web.Response:
    """GET /mails."""
    query = read_query(request, MailsQuery)
    before_id = position_of(query.cursor, id_in)
    state = None if query.state is None else MailState(query.state)
    found = await services_of(request).mails.list(state, query.limit + 1, before_id)
    page, next_cursor = page_of(found, query.limit, lambda mail: mail.id)
    return json_response({"mails": [mail_json(mail) for mail in page], "next_cursor": next_cursor})


async def retry_mail(request: web.Request) -> web.Response:
    """POST /mails/{mail_id}/retry."""
    await services_of(request).mails.retry(id_of(request, "mail_id"))
    return empty_response()


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/mails",
        handler=list_mails,
        access=ADMIN,
        tag=_TAG,
        summary="A page of the mails that wait, were sent, or were given up, the newest first",
        query=MailsQuery,
        answers={200: MailsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="POST",
        path="/mails/{mail_id}/retry",
        handler=retry_mail,
        access=ADMIN,
        tag=_TAG,
        summary="Try at once to send a mail that waits or was given up",
        answers={204: None},
        errors=(NotFound, MailNotRetryable, StoreUnavailable),
    ),
)
