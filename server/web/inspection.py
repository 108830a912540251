"""An inspected token as JSON, for the page at /inspect and for `token inspect`."""

from __future__ import annotations

from typing import Any

from server.context import RoutesFor, Services
from server.errors import TokenRevoked, Unauthorized
from server.tokens.inspection import Inspection, inspect, times
from server.tokens.verifier import Verifier

ACCEPTED = "accepted"


async def inspect_here(token: str, services: Services, routes_for: RoutesFor) -> dict[str, Any]:
    """By this server's keys, sessions and role table. Which routes there are is told to holders of genuine tokens."""
    now_ms = services.clock.now_ms()
    found = inspect(token, services.verifier.verifier, now_ms)
    verdict, reasons = _verdict(found)
    state = None
    for record in services.keys.keyring.records:
        if record.kid == found.kid:
            state = services.keys.keyring.state(record, now_ms).value
    if verdict == ACCEPTED:
        try:
            await services.authenticator.verify(token)
        except Unauthorized as error:
            verdict, reasons = error.code, [_REVOKED if isinstance(error, TokenRevoked) else error.detail]
    role = found.genuine.role if found.genuine is not None else None
    routes = routes_for(role) if role is not None and verdict == ACCEPTED else []
    return _answer(found, verdict, reasons, state, now_ms) | {"routes": routes}


def inspect_elsewhere(token: str, verifier: Verifier, now_ms: int) -> dict[str, Any]:
    """By keys that are at hand: nothing is known of sessions and routes."""
    found = inspect(token, verifier, now_ms)
    verdict, reasons = _verdict(found)
    return _answer(found, verdict, reasons, None, now_ms) | {"routes": []}


_REVOKED = "its session is over, or its user has another role by now"


def _verdict(found: Inspection) -> tuple[str, list[str]]:
    if found.flaws or found.signature is not True:
        return "token_invalid", found.flaws
    if found.expired:
        return "token_expired", ["it has expired"]
    return ACCEPTED, []


def _answer(found: Inspection, verdict: str, reasons: list[str], key_state: str | None, now_ms: int) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reasons": reasons,
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
