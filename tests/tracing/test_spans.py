"""Spans as a collector gets them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from server.core.errors import ConfigurationError
from server.services import Watchers
from server.tracing.tracing import FLUSH_SECONDS, Tracing
from tests.calling import DEADLINE_SECONDS
from tests.listening import free_port
from tests.running import PASSWORD, Api, StartApi, settings_with
from tests.tracing.collector import Collector, attributes_of, collecting

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "hunter2-correct-horse"

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@dataclass
class Traced:
    api: Api
    tracing: Tracing
    collector: Collector

    async def spans(self) -> list[Span]:
        """All spans; the tracing has ended then."""
        await self.tracing.close()
        return self.collector.spans


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        yield found


@pytest.fixture
async def traced(start_api: StartApi, store_url: str, collector: Collector) -> AsyncIterator[Traced]:
    tracing = Tracing(settings_with(store_url))
    api = await start_api(watchers=Watchers(observer=tracing, around=tracing.around))
    yield Traced(api, tracing, collector)
    await tracing.close()


async def test_a_login_has_spans_for_the_store_and_the_hash(traced: Traced) -> None:
    await traced.api.token("lak")
    spans = await traced.spans()
    (login,) = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert login.name == "POST /login"
    attributes = attributes_of(login)
    assert attributes.pop("watchword.request_id")
    assert attributes == {
        "http.request.method": "POST",
        "http.route": "/login",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/login",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
    }
    assert login.status.code == Status.STATUS_CODE_UNSET
    children = [span for span in spans if span.parent_span_id == login.span_id]
    assert {span.name for span in children} == {"store read", "store write", "password hash"}
    assert len(spans) == len(children) + 1
    for span in children:
        assert span.trace_id == login.trace_id
        assert login.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= login.end_time_unix_nano
    (hashing,) = [span for span in children if span.name == "password hash"]
    assert attributes_of(hashing)["watchword.hash.wait_seconds"] >= 0
    (read, *_) = [span for span in children if span.name == "store read"]
    assert attributes_of(read) == {"db.system.name": "sqlite", "db.operation.name": "read"}


async def test_the_trace_of_the_client_is_continued(traced: Traced) -> None:
    await traced.api.request("GET", "/health/live", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    (span,) = await traced.spans()
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


@pytest.mark.parametrize("header", ["nonsense", f"00-{'0' * 32}-{PARENT}-01", "00-" + "f" * 4000, "\xff"])
async def test_what_is_no_trace_begins_a_new_one(traced: Traced, header: str) -> None:
    """W3C Trace Context, section 4.3."""
    response = await traced.api.request("GET", "/health/live", headers={"traceparent": header})
    assert response.status == 200
    (span,) = await traced.spans()
    assert not span.parent_span_id
    assert span.trace_id.hex() != "0" * 32


async def test_a_client_that_does_not_sample_is_heeded(traced: Traced) -> None:
    await traced.api.request("GET", "/health/live", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert await traced.spans() == []


async def test_spans_hold_no_secret(traced: Traced) -> None:
    api = traced.api
    tokens = await api.log_in("lak")
    await api.request("GET", f"/hello;token={SECRET}/x/{SECRET}?password={SECRET}", tokens["token"])
    await api.request("POST", "/login", json={"username": f"me-{SECRET}", "password": SECRET})
    await api.request("POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})
    await api.request("GET", "/users?q=" + SECRET, tokens["token"], headers={"X-Secret": SECRET})
    assert len(await traced.spans()) > 5
    sent = b"".join(traced.collector.bodies)
    for secret in (SECRET, PASSWORD, tokens["token"], tokens["refresh_token"], "lak"):
        assert secret.encode() not in sent


async def test_failures_are_told_apart(traced: Traced) -> None:
    api = traced.api
    await api.request("GET", "/nowhere/at/all")
    await api.request("PROPFIND", "/me")
    await api.services.repositories.close()
    await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD})
    spans = {span.name: span for span in await traced.spans()}
    assert attributes_of(spans["GET"])["url.path"] == "/nowhere/at/..."
    assert "http.route" not in attributes_of(spans["GET"])
    assert spans["GET"].status.code == Status.STATUS_CODE_UNSET
    assert attributes_of(spans["HTTP"])["http.request.method"] == "_OTHER"
    failed = spans["POST /login"]
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes_of(failed)["error.type"] == "503"
    assert attributes_of(spans["store read"])["error.type"] == "store_unavailable"


async def test_what_is_done_beside_requests_has_no_spans(traced: Traced) -> None:
    await traced.api.services.revocations.refresh()
    await traced.api.services.sessions.count_living()
    assert await traced.spans() == []


async def test_the_process_says_what_it_is(
    store_url: str, collector: Collector, monkeypatch: pytest.MonkeyPatch, start_api: StartApi
) -> None:
    for name in (None, "auth.example"):
        if name is not None:
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
            monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests")
        tracing = Tracing(settings_with(store_url))
        api = await start_api(watchers=Watchers(around=tracing.around))
        await api.request("GET", "/health/live")
        await tracing.close()
        await api.client.close()
        await api.services.repositories.close()
    first, second = collector.resources
    assert (first["service.name"], first["service.version"]) == ("watchword", "0.1.0")
    assert (second["service.name"], second["deployment.environment.name"]) == ("auth.example", "tests")


async def test_a_collector_that_is_away_delays_neither_requests_nor_the_end(
    store_url: str, monkeypatch: pytest.MonkeyPatch, start_api: StartApi
) -> None:
    # One that takes connections and never answers, and a port where nobody listens.
    silent = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    for port in (silent.getsockname()[1], free_port()):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        tracing = Tracing(settings_with(store_url))
        api = await start_api(watchers=Watchers(around=tracing.around))
        answers = [(await api.request("GET", "/health/live")).status for _ in range(40)]
        assert answers == [200] * 40
        before = loop.time()
        await tracing.close()
        assert loop.time() - before < FLUSH_SECONDS + 1
        await api.client.close()
        await api.services.repositories.close()
    silent.close()
    # What the library still tries, and logs, must not come in the middle of another test.
    for thread in threading.enumerate():
        if thread.name in {"last spans", "OtelBatchSpanRecordProcessor"}:
            await asyncio.to_thread(thread.join, DEADLINE_SECONDS)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_BSP_MAX_QUEUE_SIZE", "-1"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1")]
)
async def test_a_variable_that_makes_no_sense_is_one_line(
    store_url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"OTEL_\*: OpenTelemetry does not take a variable"):
        Tracing(settings_with(store_url))
