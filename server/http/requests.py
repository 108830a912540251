"""Reads body, ids and client of a request, for handlers."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel

from server.core.client import Client
from server.core.errors import NotFound
from server.core.ids import id_in
from server.core.text import storable
from server.http.body import read_json
from server.http.client_ip import client_ip
from server.http.context import SERVER_SETTINGS, TRUSTED_NETWORKS

Model = TypeVar("Model", bound=BaseModel)


async def body_of(request: web.Request, model: type[Model], *, optional: bool = False) -> Model:
    """The body as `model`, within the configured size and time. With `optional` an empty body is an empty object."""
    server = request.app[SERVER_SETTINGS]
    limit, timeout_seconds = server.max_body_bytes, server.body_timeout_seconds
    return await read_json(request, model, limit=limit, timeout_seconds=timeout_seconds, optional=optional)


def id_of(request: web.Request, name: str) -> str:
    """An id in the path, in lower case. Raises NotFound if it is not a UUID, so the store is not asked."""
    found = id_in(request.match_info[name])
    if found is None:
        raise NotFound
    return found


def client_of(request: web.Request) -> Client:
    """Address and user agent. Header bytes that are not UTF-8 arrive as surrogates, which a store can't hold."""
    agent = storable(request.headers.get(hdrs.USER_AGENT))
    return Client(client_ip(request, request.app[TRUSTED_NETWORKS]), agent)
