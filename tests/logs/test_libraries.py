"""Lines of libraries, which log by the standard library, look like those of the server."""

from __future__ import annotations

import io
import json
import logging

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


def test_of_an_error_of_opentelemetry_the_reason_is_told_and_of_others_the_traceback() -> None:
    written = io.StringIO()
    configure_logs(LogSettings(format="json"), written)
    for name in ("opentelemetry", "opentelemetry.sdk.trace", "opentelemetry_else", "aiohttp.server"):
        try:
            int("much")
        except ValueError:
            logging.getLogger(name).exception("it does not work")
    logging.getLogger("opentelemetry.sdk").error("nor does this")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    reason = "ValueError: invalid literal for int() with base 10: 'much'"
    assert [line.get("reason") for line in lines] == [reason, reason, None, None, None]
    assert ["exception" in line for line in lines] == [False, False, True, True, False]
