"""The failures that a route can answer with, and an example of each as a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from server.core.errors import ApiError, InvalidRequest, NotFound, StoreMoving, StoreUnavailable
from server.http.errors import (
    InternalError,
    InvalidJson,
    MalformedRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from server.http.route import GuardedRoute
from server.sessions.errors import ReauthenticationRequired, TokenRevoked
from watchword_client.errors import InsufficientRole, TokenExpired, TokenInvalid, TokenMissing

Json = dict[str, Any]

_TOKEN_ERRORS = (TokenMissing, TokenInvalid, TokenExpired, TokenRevoked)
_BODY_ERRORS = (InvalidJson, RequestTimeout, PayloadTooLarge, UnsupportedMediaType, InvalidRequest)
# The failures without a route, and that of a defect. The routes name all others.
_BESIDE_ROUTES = (NotFound, MethodNotAllowed, InternalError)

_REQUEST_ID = "6c1f0a6f2b9be1d7aa-1c"
# What a problem has beside the members that all have, by its code.
_MEMBERS: Mapping[str, Json] = MappingProxyType(
    {
        InvalidRequest.code: {"errors": [{"field": "name", "message": "This field is required."}]},
        InsufficientRole.code: {"required": ["admin"], "role": "customer"},
        StoreMoving.code: {"reason": StoreMoving.code},
        "draining": {"reason": "draining"},
    }
)


def errors_of(row: GuardedRoute) -> list[type[ApiError]]:
    """Every failure that a route can answer with: those of access, body and query, and those that its row names."""
    found: list[type[ApiError]] = [MalformedRequest]
    if row.rule.takes_token:
        found += _TOKEN_ERRORS
    if row.rule.roles is not None:
        found.append(InsufficientRole)
    if row.route.recent:
        found.append(ReauthenticationRequired)
    if row.route.body is not None:
        found += _BODY_ERRORS
    if row.route.query is not None:
        found.append(InvalidRequest)
    found += row.route.errors
    if StoreUnavailable in found and row.route.method != "GET":
        # Whatever writes is refused while the store is moved.
        found.append(StoreMoving)
    return list(dict.fromkeys(found))


def all_errors(rows: Iterable[GuardedRoute]) -> list[type[ApiError]]:
    """Those of all routes and those that need no route, one for each code, in the order of their codes."""
    found = {error.code: error for row in rows for error in errors_of(row)}
    # A class whose code several have comes before those under it.
    found |= {error.code: error for error in (*_BESIDE_ROUTES, StoreUnavailable)}
    return [found[code] for code in sorted(found)]


def problem_example(error: type[ApiError], public_url: str) -> Json:
    """A problem of this kind, in the form of Problem (http/schemas.py)."""
    return {
        "type": f"{public_url}/docs#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.default_detail,
        "code": error.code,
        "request_id": _REQUEST_ID,
        **_MEMBERS.get(error.code, {}),
    }
