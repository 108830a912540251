"""Commands and a server as `python -m server` runs them, in this process, which starts in no time.

What needs a process of its own is tested in tests/process: signals, the real standard streams, locks, kill -9.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TextIO
from unittest import mock

import structlog
from aiohttp import web

from server.app import create_runner, open_services
from server.cli import _main, streams
from server.cli.demo import make_demo_users
from server.cli.signals import CommandSignals
from server.database.open import sqlite_path
from server.http.request_log import RequestLog
from server.settings import Settings, load_settings
from tests.calling import DEADLINE_SECONDS, Caller
from tests.environment import environment


class _Pipe(io.BytesIO):
    """What was written into a pipe."""

    def seekable(self) -> bool:
        return False


def run(folder: Path, *arguments: str, stdin: str | TextIO = "", **changes: str) -> subprocess.CompletedProcess[str]:
    """One command in this folder, to its end. `changes` are variables of its environment."""
    return run_into(None, folder, *arguments, stdin=stdin, **changes)


def run_into(
    stdout: TextIO | None, folder: Path, *arguments: str,
    stdin: str | TextIO = "", encoding: str = "utf-8", **changes: str,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """The same with another standard output."""
    assert arguments not in {(), ("serve",)}, "a server has signals and streams of its own: use serving()"
    out, err = _output(encoding), _output(encoding)
    given = stdin if isinstance(stdin, io.TextIOBase) else io.TextIOWrapper(_Pipe(str(stdin).encode("utf-8")), "utf-8")
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment(**changes), clear=True),
        mock.patch.multiple(sys, argv=["server/__main__.py", *arguments], excepthook=sys.excepthook),
        mock.patch.multiple(sys, stdin=given, stdout=stdout or out, stderr=err),
        # They look after the descriptors 0 to 2, which are those of the test process.
        mock.patch.multiple(streams, hold_standard_streams=mock.DEFAULT, end_output=mock.DEFAULT),
        mock.patch.object(gc, "freeze"),
        _logs_as_before(),
        # It runs an event loop of its own, and may set context variables.
        ThreadPoolExecutor(1, "command") as thread,
    ):
        code = thread.submit(_main, CommandSignals()).result()
    return subprocess.CompletedProcess(arguments, code, _text_of(out), _text_of(err))


def _output(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace", newline="\n")


def _text_of(output: io.TextIOWrapper) -> str:
    output.flush()
    buffer = output.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(output.encoding)


@contextlib.contextmanager
def _logs_as_before() -> Iterator[None]:
    root, was_configured, before = logging.getLogger(), structlog.is_configured(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        if was_configured:
            structlog.configure(**before)
        else:
            structlog.reset_defaults()


class LocalServer(Caller):
    """A server with an event loop and a thread of its own."""

    def __init__(self, settings: Settings, threads: ThreadPoolExecutor, *, demo: bool) -> None:
        self._settings, self._demo = settings, demo
        self._password: str | None = None
        self._log = io.StringIO()
        started: Future[str] = Future()
        self._end = asyncio.Event()
        self._done = threads.submit(lambda: asyncio.run(self._serve(started)))
        self._done.add_done_callback(lambda done: None if started.done() else started.set_exception(_error_of(done)))
        super().__init__(started.result(DEADLINE_SECONDS))

    async def _serve(self, started: Future[str]) -> None:
        self._loop = asyncio.get_running_loop()
        async with open_services(self._settings, serving=True) as services:
            password = services.ids.new_password()
            if self._demo:
                await make_demo_users(services, "")
            elif await services.users.create_first("admin", "Administrator", "admin", password):
                self._password = password
            log = RequestLog(services.clock, stream=self._log)
            runner = create_runner(services, log)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", self._settings.server.port).start()
                started.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
                await self._end.wait()
            finally:
                await runner.cleanup()

    def admin_password(self) -> str:
        assert self._password is not None, "the store was not empty"
        return self._password

    def log(self) -> str:
        """The lines of its requests so far."""
        return self._log.getvalue()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """It takes connections but answers nothing, so what is sent meanwhile is under way at the same time."""
        goes_on = threading.Event()
        self._loop.call_soon_threadsafe(goes_on.wait, DEADLINE_SECONDS)
        try:
            yield
        finally:
            goes_on.set()

    def stop(self) -> None:
        """Let it end as at a signal. May be called twice."""
        if not self._done.done():
            self._loop.call_soon_threadsafe(self._end.set)
        self._done.result(DEADLINE_SECONDS)


def _error_of(done: Future[None]) -> BaseException:
    return done.exception() or RuntimeError("the server has ended")


@contextlib.contextmanager
def serving(folder: Path, **changes: str) -> Iterator[LocalServer]:
    """A server with the settings that it would find in this folder, and the first admin. It ends with the block."""
    with _serving(folder, changes, demo=False) as server:
        yield server


@contextlib.contextmanager
def serving_demo(folder: Path, **changes: str) -> Iterator[LocalServer]:
    """The same with the users of the demo."""
    with _serving(folder, changes, demo=True) as server:
        yield server


@contextlib.contextmanager
def _serving(folder: Path, changes: dict[str, str], *, demo: bool) -> Iterator[LocalServer]:
    with contextlib.chdir(folder):
        settings = load_settings(environment=environment(**changes)).settings
        if settings.store.is_sqlite:
            # The directory is another one later.
            store = settings.store.model_copy(update={"url": f"sqlite:///{sqlite_path(settings.store.url)}"})
            settings = settings.model_copy(update={"store": store})
    with ThreadPoolExecutor(1, "server") as threads:
        server = LocalServer(settings, threads, demo=demo)
        try:
            yield server
        finally:
            server.stop()
