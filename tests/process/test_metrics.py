"""The listener of the metrics, of a server as its own process and of one with workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.calling import wait_until
from tests.doctor.examined import examined
from tests.environment import ROOT, environment
from tests.listening import free_port
from tests.metrics.scraping import Samples, read, requests, value
from tests.process.server_process import DEADLINE_SECONDS, run, serving
from tests.process.test_workers import settings, workers_of

OFF = """
import sys
import server.app, server.cli.serve
loaded = [name for name in sys.modules if name.startswith(("prometheus_client", "opentelemetry", "server.metrics"))]
sys.exit(", ".join(loaded) or 0)
"""


def scrape(port: int) -> Samples:
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=DEADLINE_SECONDS) as answer:
        return read(answer.read().decode())


def test_what_is_switched_off_is_not_even_imported() -> None:
    done = subprocess.run([sys.executable, "-c", OFF], env=environment(), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_port_of_the_metrics_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run(tmp_path, WATCHWORD__METRICS__PORT=port)
    assert refused.returncode == 2
    assert refused.stderr.startswith("config: metrics.host, metrics.port: can't listen on")
    assert "choose another port" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_open_scrapes_do_not_hold_up_the_end(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, WATCHWORD__METRICS__PORT=str(port)) as server:
        looked = examined(tmp_path, WATCHWORD__METRICS__PORT=str(port))
        assert looked.told("ok", "metrics") == [f"they are served at 127.0.0.1 port {port}"]
        assert value(scrape(port), "watchword_ready") == 1
        # One that says nothing, one that never reads its answers, and one that keeps its connection.
        with (
            socket.create_connection(("127.0.0.1", port)),
            socket.create_connection(("127.0.0.1", port)) as deaf,
            socket.create_connection(("127.0.0.1", port)) as kept,
        ):
            deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            kept.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 200")
            assert server.stop() == 0
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_any_worker_speaks_for_all_and_counts_stay_when_one_is_killed(tmp_path: Path, store_url: str) -> None:
    port = free_port()
    changes = settings(store_url, 2) | {"WATCHWORD__METRICS__PORT": str(port)}
    with serving(tmp_path, log_to=None, module="server", **changes) as server:
        token = server.log_in("admin", server.admin_password())["token"]

        def asked(count: int) -> None:
            assert {server.call("GET", "/me", token=token)[0] for _ in range(count)} == {200}

        asked(40)
        first, second = scrape(port), scrape(port)
        assert requests(first, "GET", "/me", 200) == requests(second, "GET", "/me", 200) == 40
        assert value(first, "watchword_login_total", result="ok") == 1
        assert value(first, "watchword_workers") == 2
        assert value(first, "process_start_time_seconds", worker="1") is not None
        before = workers_of(server)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(workers_of(server)) == 2 and before[0] not in workers_of(server))
        assert requests(scrape(port), "GET", "/me", 200) == 40
        wait_until(lambda: value(scrape(port), "watchword_workers") == 2)
        asked(20)
        after = scrape(port)
        assert requests(after, "GET", "/me", 200) == 60
        assert value(after, "watchword_worker_restarts_total") == 1
        # A worker that hangs is seen by the other, whoever of them is asked.
        os.kill(before[1], signal.SIGSTOP)
        try:
            wait_until(lambda: (lag_seen_by_others(port) or 0) > 1)
        finally:
            os.kill(before[1], signal.SIGCONT)
        assert server.stop() == 0
        assert "Traceback" not in server.log()


def lag_seen_by_others(port: int) -> float | None:
    """None if the worker that was stopped has this connection: it does not answer."""
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=0.5) as answer:
            return value(read(answer.read().decode()), "watchword_event_loop_lag_seconds")
    except TimeoutError:
        return None
