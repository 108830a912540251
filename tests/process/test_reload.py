"""SIGHUP, `config reload` and the service manager, with a server of one process and with workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import in_process
from tests.calling import wait_until
from tests.process.server_process import ROOT, ServerProcess, serving
from tests.process.test_workers import workers_of
from tests.running import MASTER_KEY
from tests.service_manager import service_manager
from tests.volume import volume

BOTH = pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])
OPEN = '[access]\n"GET /users" = ["customer"]\n'
CLOSED = '[access]\n"GET /users" = []\n'
RELOADED = "the settings were reloaded"
REFUSED = "the settings were not reloaded, the old ones stay"


class Scene:
    """A server with a settings file, and the token of its admin."""

    def __init__(self, folder: Path, server: ServerProcess, workers: int) -> None:
        self.folder = folder
        self.file = folder / "config.toml"
        self.server = server
        self.workers = workers
        self.token = server.log_in("admin", server.admin_password())["token"]

    def write(self, text: str, **server: int) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in (server | {"workers": self.workers}).items())
        self.file.write_text(f"[server]\n{lines}{text}")

    def command(self, *options: str) -> subprocess.CompletedProcess[str]:
        return in_process.run(self.folder, "config", "reload", *options)

    def hang_up(self, event: str) -> None:
        """SIGHUP, until the log says what came of it."""
        before = self.server.log().count(event)
        self.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.server.log().count(event) > before)

    def users(self) -> set[int]:
        """What the workers answer who is asked for the users."""
        return {self.server.call("GET", "/users", token=self.token)[0] for _ in range(6)}


@contextlib.contextmanager
def scene(folder: Path, workers: int, **changes: str) -> Iterator[Scene]:
    (folder / "config.toml").write_text(f"[server]\nworkers = {workers}\n")
    with serving(folder, log_to=None, module="server", **changes) as server:
        yield Scene(folder, server, workers)


@BOTH
def test_what_was_changed_is_taken_as_a_whole_or_not_at_all(tmp_path: Path, workers: int) -> None:
    with scene(tmp_path, workers) as it:
        it.write(CLOSED)
        it.hang_up(RELOADED)
        assert it.users() == {403}
        # The command waits for the outcome, and tells it. The environment of the tests has the port.
        it.write(OPEN + '[store]\nurl = "sqlite:///other.db"\n')
        done = it.command()
        assert (done.returncode, done.stdout, done.stderr) == (
            0, "reloaded: access\nneeds a restart: store.url\n", "",
        )  # fmt: skip
        assert it.users() == {200}
        assert '"needs_restart":["store.url"]' in it.server.log()
        assert not (tmp_path / "other.db").exists()
        # What is wrong is refused by the command, and the server is not told.
        it.write(CLOSED + "[limits]\naccount_guesses = 7\n")
        done = it.command()
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("config: limits.account_guesses: ")
        assert REFUSED not in it.server.log()
        for wrong in ("[serv", "[limits]\naccount_guesses = 7\n", '[access]\n"GET /nowhere" = []\n', "[tokns]\n"):
            it.write(wrong)
            it.hang_up(REFUSED)
        it.file.write_text("")
        it.hang_up(REFUSED)
        it.file.unlink()
        it.hang_up(REFUSED)
        it.file.mkdir()
        it.hang_up(REFUSED)
        it.file.rmdir()
        # Nobody writes into this pipe, so reading it would never end.
        os.mkfifo(it.file)
        it.hang_up(REFUSED)
        it.file.unlink()
        # All of it is valid but one thing, which only the store can tell: this key opens nothing in it.
        it.write(CLOSED + '[keys]\nmaster_key = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"\n')
        done = it.command()
        assert done.returncode == 1
        assert done.stderr.startswith("the server keeps its settings: store: ")
        assert it.users() == {200}
        it.write(OPEN)
        assert it.command().stdout == f"nothing has changed in {it.file}\n"
        assert it.server.log().count("Traceback") == 0
        assert "hT7pXw2L" not in it.server.log()
        assert it.server.stop() == 0
    done = it.command()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no server runs here with ")


@BOTH
def test_a_secret_that_became_a_pipe_is_refused_and_the_server_can_be_ended(tmp_path: Path, workers: int) -> None:
    secret = tmp_path / "secret"
    secret.write_text(MASTER_KEY)
    with scene(tmp_path, workers, WATCHWORD__KEYS__MASTER_KEY_FILE=str(secret)) as it:
        secret.unlink()
        os.mkfifo(secret)
        it.hang_up(REFUSED)
        assert f"{secret}: is a pipe or a device" in it.server.log()
        assert it.server.stop() == 0


@BOTH
def test_no_request_fails_because_of_reloads(tmp_path: Path, workers: int) -> None:
    with scene(tmp_path, workers) as it:
        password, over = it.server.admin_password(), threading.Event()
        seen: Counter[int] = Counter()

        def check() -> None:
            while not over.is_set():
                seen[it.server.call("GET", "/me", token=it.token)[0]] += 1

        def log_in() -> None:
            while not over.is_set():
                session = it.server.log_in("admin", password)
                body = {"refresh_token": session["refresh_token"]}
                seen[it.server.call("POST", "/refresh", body)[0]] += 1

        threads = [threading.Thread(target=work) for work in (check, check, log_in)]
        for thread in threads:
            thread.start()
        for number in range(volume(40)):
            it.write(f"[tokens]\naccess_ttl_seconds = {300 + number}\n[passwords]\nhash_threads = {1 + number % 3}\n")
            it.hang_up(RELOADED)
            # A second one during the first is done after it.
            for _ in range(3):
                it.server.process.send_signal(signal.SIGHUP)
        over.set()
        for thread in threads:
            thread.join()
        assert set(seen) == {200}
        assert it.server.log().count("Traceback") == 0
        assert it.server.stop() == 0


def test_a_worker_that_is_late_is_waited_for_and_one_that_is_forked_later_has_the_new_settings(tmp_path: Path) -> None:
    with scene(tmp_path, 2) as it:
        late = workers_of(it.server)[0]
        os.kill(late, signal.SIGSTOP)
        it.write(CLOSED)
        it.server.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        assert RELOADED not in it.server.log()
        os.kill(late, signal.SIGCONT)
        wait_until(lambda: RELOADED in it.server.log())
        for pid in workers_of(it.server):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: pid not in workers_of(it.server) and len(workers_of(it.server)) == 2)  # noqa: B023
        assert it.users() == {403}
        # A SIGHUP to a worker, as a terminal that is closed sends it to all, is nothing.
        lines = it.server.log().count(RELOADED)
        for pid in workers_of(it.server):
            os.kill(pid, signal.SIGHUP)
        it.write(OPEN)
        it.hang_up(RELOADED)
        assert it.server.log().count(RELOADED) == lines + 1
        assert it.users() == {200}


@BOTH
def test_the_service_manager_hears_of_start_reload_and_end(tmp_path: Path, workers: int) -> None:
    address = tmp_path / "notify"
    watchdog = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "2000000"}
    with service_manager(address) as manager, scene(tmp_path, workers, **watchdog) as it:
        told = _without_watchdog(manager.until(_status(it)))
        assert told[-1][0] == "READY=1"
        # Nothing before, unless a busy machine lets the first check wait.
        assert all(line.startswith("STATUS=not ready: ") for one in told[:-1] for line in one)
        it.write(CLOSED)
        it.hang_up(RELOADED)
        reloading, ready = _without_watchdog(manager.until("STATUS=the settings were reloaded"))
        assert reloading[0] == "RELOADING=1"
        assert int(reloading[1].removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert ready[0] == "READY=1"
        it.write("[x")
        it.hang_up(REFUSED)
        told = _without_watchdog([manager.next(), manager.next()])
        assert [one[0] for one in told] == ["RELOADING=1", "READY=1"]
        manager.until("WATCHDOG=1")
        assert it.server.stop() == 0
        assert _without_watchdog(manager.rest()) == [["STOPPING=1", "STATUS=finishes requests"]]


def _status(it: Scene) -> str:
    who = f"{it.workers} workers listen" if it.workers > 1 else "listens"
    return f"STATUS={who} on {it.server.address}"


def _without_watchdog(told: list[list[str]]) -> list[list[str]]:
    return [one for one in told if one != ["WATCHDOG=1"]]


@BOTH
def test_a_hangup_during_the_start_is_done_after_it_and_one_under_nohup_too(tmp_path: Path, workers: int) -> None:
    (tmp_path / "config.toml").write_text(f"[server]\nworkers = {workers}\n")
    # The start says where it reads from, and goes on.
    script = (
        "import os, signal, sys\n"
        "from server.cli import main, serve\n"
        "real = serve.sources\n"
        "def sources(loaded):\n"
        "    open('config.toml', 'a').write('[limits]\\naccount_guesses = 50\\n')\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    return real(loaded)\n"
        "serve.sources = sources\n"
        "sys.argv = ['server']\n"
        "main()\n"
    )
    (tmp_path / "started.py").write_text(script)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with serving(tmp_path, log_to=None, module="started", PYTHONPATH=f"{tmp_path}:{ROOT}") as server:
        signal.signal(signal.SIGHUP, before)
        wait_until(lambda: '"limits.account_guesses"' in server.log())
        assert server.call("GET", "/health/ready")[0] == 200
        assert server.stop() == 0
