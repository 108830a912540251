"""Typed keys of values that are stored on a request."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from server.settings.networks import Network
from server.settings.tree import ServerSettings

SERVER_SETTINGS: web.AppKey[ServerSettings] = web.AppKey("server_settings", ServerSettings)
# `server.trusted_proxies`, parsed once.
TRUSTED_NETWORKS: web.AppKey[Sequence[Network]] = web.AppKey("trusted_networks", Sequence)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
