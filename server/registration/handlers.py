"""Handlers of registration and invitations."""

from __future__ import annotations

from aiohttp import web

from server.core.clock import rfc3339
from server.core.ids import id_in
from server.http.auth_middleware import principal_of
from server.http.body import read_query
from server.http.cursor import page_of, position_of
from server.http.requests import body_of, client_of, id_of
from server.http.responses import empty_response, json_response
from server.registration.schemas import (
    InvitationBody,
    InvitationsQuery,
    InvitationTokenBody,
    SignUpBody,
    invitation_json,
    new_invitation_json,
)
from server.registration.service import NewAccount
from server.services import services_of
from server.sessions.cookies import browser_of, set_browser_cookie
from server.sessions.recent import require_recent
from server.users.schemas import user_json


async def sign_up(request: web.Request) -> web.Response:
    """POST /sign-up."""
    body = await body_of(request, SignUpBody)
    wanted = NewAccount(body.username, body.name, body.password, body.email, body.invitation_token)
    services, browser = services_of(request), browser_of(request, services_of(request).ids)
    user = await services.registration.sign_up(wanted, client_of(request).ip, browser)
    response = json_response({"user": user_json(user)}, 201)
    if services.outbox.enabled:
        # The link of the mail works in this browser.
        set_browser_cookie(response, browser)
    return response


async def invite(request: web.Request) -> web.Response:
    """POST /invitations."""
    body = await body_of(request, InvitationBody)
    services = services_of(request)
    if services.users.is_admin_role(body.role or services.settings.registration.role):
        await require_recent(request)
    made = await services.invitations.invite(
        role=body.role,
        email=body.email,
        life_seconds=body.expires_in,
        uses=body.uses,
        created_by=principal_of(request).subject,
    )
    return json_response(new_invitation_json(made), 201)


async def list_invitations(request: web.Request) -> web.Response:
    """GET /invitations."""
    query = read_query(request, InvitationsQuery)
    before_id = position_of(query.cursor, id_in)
    found = await services_of(request).invitations.list(query.limit + 1, before_id)
    page, next_cursor = page_of(found, query.limit, lambda invitation: invitation.id)
    return json_response({"invitations": [invitation_json(each) for each in page], "next_cursor": next_cursor})


async def withdraw_invitation(request: web.Request) -> web.Response:
    """DELETE /invitations/{invitation_id}."""
    await services_of(request).invitations.withdraw(id_of(request, "invitation_id"))
    return empty_response()


async def check_invitation(request: web.Request) -> web.Response:
    """POST /invitations/check."""
    body = await body_of(request, InvitationTokenBody)
    found = await services_of(request).invitations.check(body.invitation_token, client_of(request).ip)
    return json_response({"email": found.email, "expires_at": rfc3339(found.expires_at)})
