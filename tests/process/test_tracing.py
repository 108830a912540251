"""Traces of a server as its own process: sent by each worker, and no hindrance to the start and the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calling import wait_until
from tests.listening import free_port
from tests.process.server_process import run, serving
from tests.process.test_workers import settings
from tests.tracing.collector import collecting

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_each_worker_sends_its_spans_until_its_end(tmp_path: Path, store_url: str) -> None:
    with collecting() as collector:
        changes = settings(store_url, 2) | {ENDPOINT: collector.endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
        with serving(tmp_path, log_to=None, module="server", **changes) as server:
            for _ in range(60):
                assert server.call("GET", "/health/live")[0] == 200
            # What has not been sent yet is sent at the end.
            assert server.stop() == 0
            assert "Traceback" not in server.log()
        wait_until(lambda: len(collector.named("GET /health/live")) == 60)
        # Each process has its own ids.
        assert len({span.span_id for span in collector.spans}) == len(collector.spans)


def test_a_collector_that_is_away_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, **{ENDPOINT: f"http://127.0.0.1:{free_port()}"}, log_to=None, module="server") as server:
        assert server.call("GET", "/health/live")[0] == 200
        assert server.stop() == 0
        assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (ENDPOINT, "collector:4317", f"config: {ENDPOINT}: is no http:// or https:// URL"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "config: OTEL_TRACES_EXPORTER: 'jaeger' is not known here"),
    ],
)
def test_what_can_not_be_is_one_line(tmp_path: Path, name: str, value: str, told: str) -> None:
    refused = run(tmp_path, **{name: value})
    assert refused.returncode == 2
    assert refused.stderr.startswith(told)
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_value_that_the_library_refuses_is_one_line(tmp_path: Path) -> None:
    refused = run(tmp_path, OTEL_TRACES_EXPORTER="otlp", OTEL_BSP_MAX_QUEUE_SIZE="0", OTEL_PROPAGATORS="none")
    assert refused.returncode == 2
    assert refused.stderr.startswith("config: OTEL_*: OpenTelemetry does not take a variable")
    assert len(refused.stderr.splitlines()) == 1
