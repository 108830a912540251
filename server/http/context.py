"""Typed keys of values that are stored on a request."""

from __future__ import annotations

from aiohttp import web

from server.settings.tree import ServerSettings

SERVER_SETTINGS: web.AppKey[ServerSettings] = web.AppKey("server_settings", ServerSettings)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
