"""Lines of libraries, which log by the standard library, look like those of the server."""

from __future__ import annotations

import io
import json

import pytest

from server.logs.output import configure_logs
from server.settings.tree import LogSettings
from tests.publisher import Publisher
from watchword_client import KeysUnavailable, RemoteKeySet


async def test_the_client_library_is_heard_in_the_servers_log(publisher: Publisher) -> None:
    publisher.status = 418
    written = io.StringIO()
    configure_logs(LogSettings(format="json"), written)
    keys = RemoteKeySet(publisher.url, clock=publisher.clock)
    with pytest.raises(KeysUnavailable):
        await keys.keep_current()
    line = json.loads(written.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "event": f"the JWK Set was not renewed: {publisher.url}: the answer was 418",
    }
