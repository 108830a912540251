"""GET /health/live and GET /health/ready."""

from __future__ import annotations

from aiohttp import web

from server.health.errors import Draining, NotReady
from server.health.schemas import HealthAnswer
from server.http.responses import json_response
from server.http.route import Route
from server.services import services_of
from watchword_client.access import ANYONE


async def live(_: web.Request) -> web.Response:
    """GET /health/live: 200 as long as the event loop answers."""
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /health/ready: 200 if a login could succeed, else 503 with a `reason`; it answers within a second."""
    await services_of(request).readiness.check()
    return json_response({"status": "ok"})


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/health/live",
        handler=live,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="The process answers",
        answers={200: HealthAnswer},
    ),
    Route(
        method="GET",
        path="/health/ready",
        handler=ready,
        access=ANYONE,
        fixed=True,
        tag="This server",
        summary="A login could succeed: the store takes writes",
        answers={200: HealthAnswer},
        errors=(NotReady, Draining),
    ),
)
