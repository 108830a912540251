"""Numbers of several processes, put together."""

from __future__ import annotations

import asyncio
import os
from contextlib import nullcontext

import pytest
from prometheus_client.metrics_core import Metric

from server.core.errors import NotFound, StoreUnavailable
from server.http.methods import OTHER
from server.metrics.catalogue import LOGIN_RESULTS, METHODS
from server.metrics.collector import AllProcesses, registry_of
from server.metrics.families import Counter, Histogram
from server.metrics.memory import SharedMemory
from server.metrics.metrics import SharedMetrics
from server.metrics.process_state import TICK_SECONDS, WINDOW_SECONDS, Cell, ProcessState

ROUTES = [("GET", "/me"), ("POST", "/login")]
REQUESTS = "http_server_request_duration_seconds_count"


def shown(metric: Metric) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for sample in metric.samples}


def test_counters_add_up_over_processes() -> None:
    rows = SharedMemory(3, 2).rows
    counter = Counter(name="c_total", documentation="c", labels=("result",), series=[("ok",), ("bad",)])
    counter.on(rows[0]).add("ok")
    for _ in range(2):
        counter.on(rows[2]).add("ok")
    assert shown(counter.collect(rows)) == {("c_total", "ok"): 3, ("c_total", "bad"): 0}
    with pytest.raises(KeyError):
        counter.on(rows[0]).add("unheard of")


def test_buckets_of_a_histogram_hold_all_that_is_smaller() -> None:
    histogram = Histogram(
        name="h_seconds", documentation="h", labels=("of",), series=[("a",), ("b",)], bounds=(0.125, 1.0), sparse=True
    )
    rows = SharedMemory(2, histogram.cells).rows
    for row, amount in ((0, 0.0625), (1, 0.125), (1, 0.5), (0, 7.0)):
        histogram.on(rows[row]).observe(amount, "b")
    assert shown(histogram.collect(rows)) == {
        ("h_seconds_bucket", "b", "0.125"): 2,
        ("h_seconds_bucket", "b", "1.0"): 3,
        ("h_seconds_bucket", "b", "+Inf"): 4,
        ("h_seconds_count", "b"): 4,
        ("h_seconds_sum", "b"): 7.6875,
    }


def test_a_forked_process_counts_in_the_same_memory() -> None:
    shared = SharedMetrics(ROUTES, 2)
    shared.of_worker(0).request_answered("GET", "/me", 200, 0.001)
    if (pid := os.fork()) == 0:
        shared.of_worker(1).request_answered("GET", "/me", 200, 0.001)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    registry = registry_of(AllProcesses(shared))
    labels = {"http_request_method": "GET", "http_route": "/me", "http_response_status_code": "200"}
    assert registry.get_sample_value(REQUESTS, labels) == 2
    assert registry.get_sample_value("watchword_workers") == 2


def test_the_counts_of_a_worker_that_died_stay_and_its_gauges_go() -> None:
    shared = SharedMetrics(ROUTES, 2)
    first, second = shared.of_worker(0), shared.of_worker(1)
    registry = registry_of(AllProcesses(shared))
    for metrics in (first, second):
        metrics.token_checked(None, remembered=True)
        metrics.state.hashes_waiting(5)
    assert registry.get_sample_value("watchword_hash_queue_depth") == 10
    for number in (0, 1):
        shared.worker_forked(number, 0)
    shared.worker_died(1, 0)
    checks = {"result": "valid", "remembered": "true"}
    assert registry.get_sample_value("watchword_token_check_total", checks) == 2
    assert registry.get_sample_value("watchword_hash_queue_depth") == 5
    assert registry.get_sample_value("watchword_workers") == 1
    assert registry.get_sample_value("watchword_worker_restarts_total") == 0
    shared.worker_forked(1, 0)
    shared.of_worker(1).token_checked(None, remembered=True)
    assert registry.get_sample_value("watchword_token_check_total", checks) == 3
    assert registry.get_sample_value("watchword_hash_queue_depth") == 5
    assert registry.get_sample_value("watchword_worker_restarts_total") == 1


def test_what_is_not_in_a_set_of_labels_is_counted_as_other() -> None:
    shared = SharedMetrics(ROUTES, 1)
    metrics = shared.of_worker()
    registry = registry_of(AllProcesses(shared))
    for method, route, status in (("BREW", None, 405), ("", None, 400), ("GET", "/me", 299), ("\udcff", "/x", 200)):
        metrics.request_answered(method, route, status, 0.0)

    def count(method: str, status: str) -> float | None:
        labels = {"http_request_method": method, "http_route": OTHER, "http_response_status_code": status}
        return registry.get_sample_value(REQUESTS, labels)

    assert (count(OTHER, "405"), count(OTHER, "400"), count("GET", OTHER), count(OTHER, "200")) == (1, 1, 1, 1)
    assert OTHER in METHODS


def test_the_longest_lag_stays_for_a_scrape_and_goes_later() -> None:
    row = SharedMemory(1, len(Cell)).rows[0]
    state = ProcessState(row)
    state.begin(1, 100.0)
    state.tick(101.0, 0.25)
    state.tick(102.0, 0.01)
    assert state.event_loop_lag(102.0) == 0.25
    state.tick(100.0 + WINDOW_SECONDS, 0.02)
    assert state.event_loop_lag(100.0 + WINDOW_SECONDS) == 0.25
    state.tick(100.0 + 2 * WINDOW_SECONDS, 0.03)
    assert state.event_loop_lag(100.0 + 2 * WINDOW_SECONDS) == 0.03


def test_a_process_that_hangs_is_late_although_it_does_not_say_so() -> None:
    state = ProcessState(SharedMemory(1, len(Cell)).rows[0])
    state.begin(1, 100.0)
    state.followed(101.0)
    assert state.event_loop_lag(107.0) == 7.0 - TICK_SECONDS
    assert state.revocation_lag(107.0) == 6.0


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (StoreUnavailable(), "store_unavailable"),
        (asyncio.CancelledError(), "client_left"),
        (ZeroDivisionError(), "internal_error"),
        (NotFound(), "internal_error"),
    ],
)
def test_how_a_login_ended(error: BaseException | None, result: str) -> None:
    shared = SharedMetrics(ROUTES, 1)
    login = shared.of_worker().watchers().outcomes.login
    with pytest.raises(type(error)) if error is not None else nullcontext(), login:
        if error is not None:
            raise error
    registry = registry_of(AllProcesses(shared))
    counts = {one: registry.get_sample_value("watchword_login_total", {"result": one}) for one in LOGIN_RESULTS}
    assert counts == dict.fromkeys(LOGIN_RESULTS, 0) | {result: 1}
