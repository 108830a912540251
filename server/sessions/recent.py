"""Whether somebody has signed in a short while ago, which is asked for what is dangerous (RFC 9470).

A row of the route table says when, in `recent`. Where that is "always", the table asks before it calls the handler;
otherwise the handler calls `require_recent`, or `is_recent` if only the service finds out whether it matters.
"""

from __future__ import annotations

from aiohttp import web

from server.http.auth_middleware import principal_of
from server.services import services_of
from server.sessions.errors import ReauthenticationRequired
from server.sessions.model import RECENT_SECONDS

# A sign-in may be so far ahead, since clocks of nodes differ. Further ahead its time is wrong, and says nothing.
_AHEAD_SECONDS = 60


async def require_recent(request: web.Request) -> None:
    """Raises ReauthenticationRequired if the sign-in of the caller is not recent."""
    if not await is_recent(request):
        raise ReauthenticationRequired


async def is_recent(request: web.Request) -> bool:
    """Whether the caller has signed in a short while ago, or proved again who they are (POST /reauthenticate).

    The token says so. If its time is too old, or it has none, the store is asked once: the session may have been
    renewed since the token was made.
    """
    principal, services = principal_of(request), services_of(request)
    now_ms = services.clock.now_ms()
    if principal.auth_time is not None and _fits(principal.auth_time * 1000, now_ms):
        return True
    if principal.session_id is None:
        return False
    authenticated_at = await services.sessions.authenticated_at(principal.session_id)
    return authenticated_at is not None and _fits(authenticated_at, now_ms)


def _fits(authenticated_at: int, now_ms: int) -> bool:
    return -_AHEAD_SECONDS * 1000 <= now_ms - authenticated_at <= RECENT_SECONDS * 1000
