"""What hangs on the application and on a request for everything that handles one, by typed keys."""

from __future__ import annotations

from aiohttp import web

from server.settings.tree import ServerSettings

SERVER_SETTINGS: web.AppKey[ServerSettings] = web.AppKey("server_settings", ServerSettings)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
