"""What is told to systemd, on a real socket; when a server tells it is in tests/process/test_reload.py."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import service_manager as module
from server.cli.service_manager import ServiceManager
from server.core.errors import StoreUnavailable
from tests.service_manager import Heard, service_manager


@pytest.fixture(params=["a path", "an abstract address"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Heard]]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@watchword-test-{os.getpid()}"
    with service_manager(address) as manager:
        yield address, manager


def test_each_state_is_one_message(heard: tuple[str, Heard]) -> None:
    address, manager = heard
    told = ServiceManager({"NOTIFY_SOCKET": address})
    told.ready("listens")
    told.not_ready("the disk\nis full")
    told.starting()
    told.stopping()
    told.alive()
    assert manager.rest() == [
        ["READY=1", "STATUS=listens"],
        # A line break would begin another assignment.
        ["STATUS=not ready: the disk is full"],
        ["EXTEND_TIMEOUT_USEC=30000000"],
        ["STOPPING=1", "STATUS=finishes requests"],
        ["WATCHDOG=1"],
    ]
    before = time.monotonic_ns() // 1000
    told.reloading()
    ((reloading, at),) = manager.rest()
    assert reloading == "RELOADING=1"
    assert before <= int(at.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    "address", ["", "/nowhere/notify", "vsock:2:1234", "@nobody-listens-here", "relative", "/" + "x" * 200, "\0x"]
)
def test_whatever_the_address_is_the_server_goes_on(address: str) -> None:
    told = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"})
    told.ready("listens")
    told.alive()


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.001)
    with service_manager(tmp_path / "notify"):
        told = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(100):
            told.alive()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "0"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time_if_it_means_this_process(
    environment: dict[str, str], seconds: float
) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/x", **environment}, pid=7).alive_every_seconds == seconds
    assert ServiceManager(environment, pid=7).alive_every_seconds == 0.0


async def test_a_server_is_ready_once_somebody_could_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_POLL_SECONDS", 0)
    failures: list[Exception] = [StoreUnavailable(), StoreUnavailable()]

    async def check() -> None:
        if failures:
            raise failures.pop()

    with service_manager(tmp_path / "notify") as manager:
        await ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell_ready(check, "listens")
        status = f"STATUS=not ready: {StoreUnavailable.default_detail}"
        assert manager.rest() == [[status], [status], ["READY=1", "STATUS=listens"]]


async def test_it_is_told_again_and_again_that_the_event_loop_answers(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000"}
    with service_manager(tmp_path / "notify") as manager:
        telling = asyncio.create_task(ServiceManager(environment).tell_alive())
        for _ in range(3):
            assert await asyncio.to_thread(manager.next) == ["WATCHDOG=1"]
        telling.cancel()
