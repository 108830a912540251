"""Makes the JSON of an inspected token (InspectionAnswer in schemas.py), for /inspect and `token inspect`."""

from __future__ import annotations

from typing import Any

from server.core.clock import rfc3339
from server.core.errors import Unauthorized
from server.inspection.flaws import UNKNOWN_KEY, Inspection, inspect, times
from server.services import RoutesFor, Services
from server.sessions.errors import TokenRevoked
from watchword_client.claims import AccessClaims
from watchword_client.errors import TokenExpired, TokenInvalid
from watchword_client.token_checks import TokenChecks

ACCEPTED = "accepted"
_EXPIRED = "it has expired"
_SESSION_OVER = (
    "its session has ended: by a logout, by an admin, by a new password, or because a refresh token was used twice"
)
_OTHER_ROLE = "the role of its user was changed after it was issued"
# Why a known key is not accepted any more, by its state.
_PAST_KEYS = {
    "revoked": "the key that the header names was revoked",
    "retired": "the key that the header names is retired, and whatever it signed has expired",
}


async def inspect_here(token: str, services: Services, routes_for: RoutesFor) -> dict[str, Any]:
    """Inspect with this server's keys, sessions and role table. Only a valid token is shown the routes."""
    now_ms = services.clock.now_ms()
    found = inspect(token, services.verifier.checks, now_ms)
    if UNKNOWN_KEY in found.flaws and await services.keys.current.reload():
        # As for any other request: another process may have begun to sign with a new key.
        found = inspect(token, services.verifier.checks, now_ms)
    verdict, reasons = _verdict(found)
    state = _state_of_key(services, found.kid, now_ms)
    if state in _PAST_KEYS:
        reasons = [_PAST_KEYS[state] if reason == UNKNOWN_KEY else reason for reason in reasons]
    routes: list[dict[str, object]] = []
    if found.genuine is not None:
        verdict, reasons = await _asked(token, services, found.genuine)
        routes = routes_for(found.genuine.role) if verdict == ACCEPTED else []
    return _answer(found, verdict, reasons, state, now_ms) | {"routes": routes}


def inspect_elsewhere(token: str, checks: TokenChecks, now_ms: int) -> dict[str, Any]:
    """Inspect with the given keys, without sessions and routes."""
    found = inspect(token, checks, now_ms)
    verdict, reasons = _verdict(found)
    return _answer(found, verdict, reasons, None, now_ms) | {"routes": []}


def _state_of_key(services: Services, kid: str | None, now_ms: int) -> str | None:
    for record in services.keys.current.keyring.records:
        if record.kid == kid:
            return services.keys.current.keyring.state(record, now_ms).value
    return None


async def _asked(token: str, services: Services, claims: AccessClaims) -> tuple[str, list[str]]:
    """The verdict for a request with this token, with the reason that the answer of a request does not show."""
    try:
        await services.authenticator.verify(token)
    except TokenRevoked as error:
        return error.code, [_SESSION_OVER if services.revocations.has_ended(claims) else _OTHER_ROLE]
    except Unauthorized as error:
        return error.code, [_EXPIRED if isinstance(error, TokenExpired) else error.detail]
    return ACCEPTED, []


def _verdict(found: Inspection) -> tuple[str, list[str]]:
    if found.expired:
        return TokenExpired.code, [_EXPIRED]
    if found.genuine is None:
        return TokenInvalid.code, found.flaws
    return ACCEPTED, []


def _answer(found: Inspection, verdict: str, reasons: list[str], key_state: str | None, now_ms: int) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reasons": reasons,
        "now": rfc3339(now_ms),
        "header": found.header,
        "claims": found.claims,
        "times": [
            {"claim": name, "at": at, "words": words} for name, (at, words) in times(found.claims or {}, now_ms).items()
        ],
        "signature": {
            "valid": found.signature,
            "kid": found.kid,
            "algorithm": found.algorithm,
            "key_state": key_state,
        },
    }
