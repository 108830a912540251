"""A server whose log is in memory."""

from __future__ import annotations

import io
import json
from typing import Any

from server.http.request_log import RequestLog
from server.logs.output import configure_logs
from server.settings.tree import LogSettings
from tests.clock import FakeClock
from tests.running import Api, StartApi


class Log:
    """Everything that a server logs, in memory."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        render = configure_logs(LogSettings(level="debug", format="json"), self.stream)
        self.requests = RequestLog(FakeClock(), render, self.stream)

    def text(self) -> str:
        self.requests.flush()
        return self.stream.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


async def start_logged(start_api: StartApi, log: Log, **changes: Any) -> Api:
    return await start_api(request_log=log.requests, **changes)
