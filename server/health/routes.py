"""Whether the server is well, for whoever watches it."""

from __future__ import annotations

from aiohttp import web

from server.http.responses import json_response
from server.services import services_of


async def live(_: web.Request) -> web.Response:
    """GET /health/live: the event loop turns."""
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /health/ready: a login could succeed; else 503, within a second."""
    await services_of(request).readiness.check()
    return json_response({"status": "ok"})
