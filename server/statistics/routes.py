"""GET /stats."""

from __future__ import annotations

from aiohttp import web

from server.access.rules import ADMIN
from server.core.errors import StoreUnavailable
from server.http.responses import json_response
from server.http.route import Route
from server.services import services_of
from server.statistics.schemas import StatsAnswer, stats_json


async def show_figures(request: web.Request) -> web.Response:
    """GET /stats."""
    services = services_of(request)
    return json_response(stats_json(await services.statistics.figures(), services.hashes))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/stats",
        handler=show_figures,
        access=ADMIN,
        tag="This server",
        summary="Users, sessions, the sign-ins of the last day by hour, and the queue of password checks",
        answers={200: StatsAnswer},
        errors=(StoreUnavailable,),
    ),
)
