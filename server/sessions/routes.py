"""The routes of sessions and their tokens."""

from __future__ import annotations

from server.access.rules import ADMIN
from server.authentication.errors import EmailNotConfirmed, InvalidCredentials, TooManyAttempts
from server.core.errors import NotFound, Overloaded, StoreUnavailable
from server.http.errors import CsrfRefused
from server.http.route import Route
from server.http.schemas import PageQuery
from server.sessions import handlers
from server.sessions.errors import RefreshExpired, RefreshInvalid, RefreshReused, SessionConflict, TokenRevoked
from server.sessions.schemas import (
    AccessTokenAnswer,
    LoginBody,
    ReauthenticationBody,
    RefreshBody,
    SessionsAnswer,
    TokenAnswer,
    VerifyQuery,
)
from watchword_client.access import ANY_USER, ANYONE
from watchword_client.errors import InsufficientRole, TokenExpired, TokenInvalid, TokenMissing

_VERIFY_HEADERS = {
    "X-Auth-Subject": "The user's id",
    "X-Auth-Username": "The user's name",
    "X-Auth-Role": "The user's role",
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/login",
        handler=handlers.log_in,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="Log in with username and password",
        body=LoginBody,
        answers={200: TokenAnswer},
        errors=(InvalidCredentials, EmailNotConfirmed, TooManyAttempts, CsrfRefused, Overloaded, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/refresh",
        handler=handlers.refresh,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="New tokens for a refresh token, of the body or of the browser's cookie",
        body=RefreshBody,
        body_required=False,
        answers={200: TokenAnswer},
        errors=(RefreshInvalid, RefreshExpired, RefreshReused, SessionConflict, CsrfRefused, StoreUnavailable),
    ),
    Route(
        method="POST",
        path="/logout",
        handler=handlers.log_out,
        access=ANYONE,
        fixed=True,
        tag="Sessions",
        summary="End the session of the refresh token, of the browser's cookie, or of the bearer token",
        body=RefreshBody,
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
        method="POST",
        path="/reauthenticate",
        handler=handlers.reauthenticate,
        access=ANY_USER,
        tag="Sessions",
        summary="Give the password again: a new access token of the same session, with a recent sign-in",
        body=ReauthenticationBody,
        answers={200: AccessTokenAnswer},
        errors=(InvalidCredentials, TooManyAttempts, NotFound, Overloaded, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/me/sessions",
        handler=handlers.list_my_sessions,
        access=ANY_USER,
        tag="Own account",
        summary="Where you are logged in",
        query=PageQuery,
        answers={200: SessionsAnswer},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/me/sessions",
        handler=handlers.end_my_other_sessions,
        access=ANY_USER,
        tag="Own account",
        summary="End all your sessions but this one",
        answers={204: None},
        errors=(StoreUnavailable,),
    ),
    Route(
        method="DELETE",
        path="/me/sessions/{session_id}",
        handler=handlers.end_my_session,
        access=ANY_USER,
        tag="Own account",
        summary="End one of your sessions",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/users/{user_id}/sessions",
        handler=handlers.list_user_sessions,
        access=ADMIN,
        summary="Where a user is logged in",
        query=PageQuery,
        answers={200: SessionsAnswer},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="DELETE",
        path="/users/{user_id}/sessions",
        handler=handlers.end_user_sessions,
        access=ADMIN,
        summary="End all sessions of a user",
        answers={204: None},
        errors=(NotFound, StoreUnavailable),
    ),
    Route(
        method="GET",
        path="/verify",
        handler=handlers.verify,
        immediate=True,
        access=ANY_USER,
        tag="Sessions",
        summary="Check a token, and a role if one is named; for a proxy's auth_request",
        query=VerifyQuery,
        answers={204: None},
        headers=_VERIFY_HEADERS,
        errors=(InsufficientRole,),
    ),
)
