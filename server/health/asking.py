"""Asks the server of these settings, from another process on its machine. It imports no HTTP library."""

from __future__ import annotations

import http.client
import json
from typing import Any

from server.core.errors import WatchwordError
from server.settings.networks import reached_at
from server.settings.tree import MetricsSettings, ServerSettings

# The server answers within a second. Nobody should wait much longer for one that hangs.
WAIT_SECONDS = 3.0
_LONGEST_ANSWER = 65536


def ask(server: ServerSettings | MetricsSettings, path: str) -> tuple[int, dict[str, Any]]:
    """The status of the answer, and its JSON; nothing if it is not Watchword's. Raises WatchwordError."""
    host = reached_at(server.host)
    connection = http.client.HTTPConnection(host, server.port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(_LONGEST_ANSWER)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WatchwordError(f"not answering: {host} port {server.port}: {reason}") from None
    finally:
        connection.close()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return answer.status, body if isinstance(body, dict) else {}
