"""The routes of one's own addresses."""

from __future__ import annotations

from aiohttp import web

from server.core.errors import NotFound, StoreUnavailable
from server.emails.errors import EmailNotVerified
from server.emails.schemas import EmailsAnswer, email_json
from server.http.auth_middleware import principal_of
from server.http.requests import id_of
from server.http.responses import empty_response, json_response
from server.http.route import ALWAYS, Route
from server.services import services_of
from watchword_client.access import ANY_USER


async def list_emails(request: web.Request) -> web.Response:
    """GET /me/emails."""
    found = await services_of(request).emails.list(principal_of(request).subject)
    return json_response({"emails": [email_json(email) for email in found]})


async def remove_email(request: web.Request) -> web.Response:
    """DELETE /me/emails/{email_id}."""
    await services_of(request).emails.remove(principal_of(request).subject, id_of(request, "email_id"))
    return empty_response()


async def make_primary(request: web.Request) -> web.Response:
    """POST /me/emails/{email_id}/primary."""
    await services_of(request).emails.make_primary(principal_of(request).subject, id_of(request, "email_id"))
    return empty_response()


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/me/emails",
        handler=list_emails,
        access=ANY_USER,
        tag="Own account",
        summary="Your e-mail addresses",
        answers={200: EmailsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/me/emails/{email_id}",
        handler=remove_email,
        access=ANY_USER,
        tag="Own account",
        summary="Remove one of your e-mail addresses",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
        recent=ALWAYS,
    ),
    Route(
        method="POST",
        path="/me/emails/{email_id}/primary",
        handler=make_primary,
        access=ANY_USER,
        tag="Own account",
        summary="Make one of your verified e-mail addresses the primary one",
        answers={204: None},
        errors=(NotFound, EmailNotVerified, StoreUnavailable),
        recent=ALWAYS,
    ),
)
