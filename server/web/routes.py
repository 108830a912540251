"""The route table: one row per endpoint. Access, body, answers and documentation of a route stand in its row.

To add a route: write a handler, add a row. There is no other way in: the start fails if the router knows a route that
has no row here. OpenAPI, /docs, `GET /routes` and `python -m server routes` are made from this table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from server.access import ANY_USER, ANYONE, Access, only
from server.errors import (
    ApiError,
    CsrfRefused,
    InsufficientRole,
    InvalidCredentials,
    InvalidResetToken,
    LastAdmin,
    NotFound,
    Overloaded,
    RefreshExpired,
    RefreshInvalid,
    RefreshReused,
    SessionConflict,
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    TooManyAttempts,
    UsernameTaken,
)
from server.web import audit_schemas, schemas
from server.web.handlers import account, audit, documents, health, inspect, login, users

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ADMIN = only("admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A row.

    `answers` maps the statuses of success to their models (None: no body); `content_type` is theirs. `errors` are the
    failures of this route's own; those that follow from access, body and query are added by openapi.py. `fixed` routes
    are how a token is got or checked from outside, and take no override.
    """

    method: str
    path: str
    handler: Handler
    access: Access
    summary: str
    answers: dict[int, type[BaseModel] | None]
    body: type[BaseModel] | None = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    errors: tuple[type[ApiError], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    tag: str = "Users"
    fixed: bool = False

    @property
    def name(self) -> str:
        """As in `[access]`: method and path."""
        return f"{self.method} {self.path}"


_VERIFY_HEADERS = {
    "X-Auth-Subject": "The user's id",
    "X-Auth-Username": "The user's name",
    "X-Auth-Role": "The user's role",
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/login",
        handler=login.log_in,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="Log in with username and password",
        body=schemas.LoginBody,
        answers={200: schemas.TokenAnswer},
        errors=(InvalidCredentials, TooManyAttempts, CsrfRefused, Overloaded, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/refresh",
        handler=login.refresh,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="New tokens for a refresh token, of the body or of the browser's cookie",
        body=schemas.RefreshBody,
        body_required=False,
        answers={200: schemas.TokenAnswer},
        errors=(RefreshInvalid, RefreshExpired, RefreshReused, SessionConflict, CsrfRefused, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/logout",
        handler=login.log_out,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="End the session of the refresh token, of the browser's cookie, or of the bearer token",
        body=schemas.RefreshBody,
        body_required=False,
        answers={204: None},
        errors=(
            TokenMissing,
            TokenInvalid,
            TokenExpired,
            TokenRevoked,
            RefreshInvalid,
            SessionConflict,
            CsrfRefused,
            StoreUnavailable,
        ),
    ),
    Route(
        method="GET",
        path="/me",
        handler=account.get_me,
        access=ANY_USER,
        tag="Own account",
        summary="Your account",
        answers={200: schemas.OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="PATCH",
        path="/me",
        handler=account.update_me,
        access=ANY_USER,
        tag="Own account",
        summary="Change your display name",
        body=schemas.ProfileBody,
        answers={200: schemas.OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/me/password",
        handler=account.change_password,
        access=ANY_USER,
        tag="Own account",
        summary="Change your password; all your other sessions end",
        body=schemas.PasswordBody,
        answers={204: None},
        errors=(InvalidCredentials, TooManyAttempts, NotFound, Overloaded, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/me/sessions",
        handler=account.list_my_sessions,
        access=ANY_USER,
        tag="Own account",
        summary="Where you are logged in",
        answers={200: schemas.SessionsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/me/sessions",
        handler=account.end_my_other_sessions,
        access=ANY_USER,
        tag="Own account",
        summary="End all your sessions but this one",
        answers={204: None},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/me/sessions/{session_id}",
        handler=account.end_my_session,
        access=ANY_USER,
        tag="Own account",
        summary="End one of your sessions",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/password/reset",
        handler=account.reset_password,
        access=ANYONE,
        fixed=True,
        tag="Own account",
        summary="Set a new password with a reset token, once",
        body=schemas.PasswordResetBody,
        answers={204: None},
        errors=(InvalidResetToken, TooManyAttempts, Overloaded, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/users",
        handler=users.list_users,
        access=ADMIN,
        summary="A page of users",
        query=schemas.UsersQuery,
        answers={200: schemas.UsersAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="POST",
        path="/users",
        handler=users.create_user,
        access=ADMIN,
        summary="Make a user; without a password, with a token to set one",
        body=schemas.NewUserBody,
        answers={201: schemas.NewUserAnswer},
        headers={"Location": "The path of the new user"},
        errors=(UsernameTaken, Overloaded, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/users/{user_id}",
        handler=users.get_user,
        access=ADMIN,
        summary="One user",
        answers={200: schemas.OneUserAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="PATCH",
        path="/users/{user_id}",
        handler=users.update_user,
        access=ADMIN,
        summary="Change a user's display name or role, or disable the user",
        body=schemas.UserChangeBody,
        answers={200: schemas.OneUserAnswer},
        errors=(NotFound, LastAdmin, StoreUnavailable),
    ),
    Route(
        method="DELETE",
        path="/users/{user_id}",
        handler=users.delete_user,
        access=ADMIN,
        summary="Delete a user",
        answers={204: None},
        errors=(NotFound, LastAdmin, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/users/{user_id}/sessions",
        handler=users.list_user_sessions,
        access=ADMIN,
        summary="Where a user is logged in",
        answers={200: schemas.SessionsAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="DELETE",
        path="/users/{user_id}/sessions",
        handler=users.end_user_sessions,
        access=ADMIN,
        summary="End all sessions of a user",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/users/{user_id}/password-reset",
        handler=users.make_reset_token,
        access=ADMIN,
        summary="A token with which the user can set a new password, once",
        answers={200: schemas.ResetTokenAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/audit",
        handler=audit.list_events,
        access=ADMIN,
        tag="Audit",
        summary="Who did what to whom, the newest first",
        query=audit_schemas.AuditQuery,
        answers={200: audit_schemas.AuditAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="GET",
        path="/routes",
        handler=documents.list_routes,
        access=ADMIN,
        tag="This server",
        summary="The effective role table",
        answers={200: schemas.RoutesAnswer},
    ),
    Route(
        method="GET",
        path="/verify",
        handler=login.verify,
        access=ANY_USER,
        tag="Sessions",
        summary="Check a token, and a role if one is named; for a proxy's auth_request",
        query=schemas.VerifyQuery,
        answers={204: None},
        headers=_VERIFY_HEADERS,
        errors=(InsufficientRole,),
    ),
    Route(
        method="GET",
        path="/inspect",
        handler=inspect.inspect_page,
        access=ANYONE,
        tag="This server",
        summary="Look into a token, in a browser",
        content_type="text/html",
        answers={200: None},
    ),
    Route(
        method="POST",
        path="/inspect",
        handler=inspect.inspect_token,
        access=ANYONE,
        tag="This server",
        summary="Look into a token: what it says, whether it holds, why it would be refused",
        body=schemas.InspectionBody,
        answers={200: schemas.InspectionAnswer},
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=documents.jwks,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="The public keys that verify our tokens (RFC 7517)",
        content_type="application/jwk-set+json",
        answers={200: schemas.JwksAnswer},
    ),
    Route(
        method="GET",
        path="/openapi.json",
        handler=documents.openapi,
        access=ANYONE,
        tag="This server",
        summary="This API as OpenAPI 3.1",
        answers={200: None},
    ),
    Route(
        method="GET",
        path="/docs",
        handler=documents.docs,
        access=ANYONE,
        tag="This server",
        summary="This API, readable in a browser",
        content_type="text/html",
        answers={200: None},
    ),
    Route(
        method="GET",
        path="/health/live",
        handler=health.live,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="The process answers",
        answers={200: schemas.HealthAnswer},
    ),
    Route(
        method="GET",
        path="/health/ready",
        handler=health.ready,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="The store answers too",
        answers={200: schemas.HealthAnswer},
        errors=(StoreUnavailable,),
    ),
)
