"""How a command finds the server, and what other users get."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from server.cli import reload_socket
from server.cli.reload_outcome import Outcome
from server.cli.reload_socket import Waiters, reload_running
from server.core.errors import WatchwordError
from tests import other_user
from tests.calling import DEADLINE_SECONDS
from tests.needed import require

# A process that is told by SIGHUP, as a server, and answers; or ends.
SERVER = """
import os, signal, sys
from pathlib import Path
from server.cli.reload_outcome import Outcome
from server.cli.reload_socket import Waiters
os.setuid(int(sys.argv.pop()))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
waiters = Waiters(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    signal.sigwait([signal.SIGHUP])
    if sys.argv[2] == "ends":
        break
    waiting = waiters.accept()
    # A worker that is forked during a reload has the connections too, and keeps them as long as it lives.
    inherited = [connection.dup() for connection in waiting]
    waiters.answer(waiting, Outcome(["logs.level"], ["server.port"], sys.argv[3:]))
"""


@contextmanager
def server(file: Path, *arguments: str, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVER, str(file), *arguments, str(os.getuid() if user is None else user)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=other_user.ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_every_server_with_this_file_is_told_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with server(file, "answers"), server(file, "answers"), server(tmp_path / "other.toml", "ends") as other:
        assert reload_running(file) == Outcome(["logs.level"], ["server.port"])
        assert other.poll() is None


def test_what_the_server_refuses_and_what_it_does_not_answer_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with server(file, "answers", "logs.level: takes debug"), pytest.raises(WatchwordError) as caught:
        reload_running(file)
    assert str(caught.value) == "the server keeps its settings: logs.level: takes debug"
    with server(file, "ends"), pytest.raises(WatchwordError, match="ended before it answered"):
        reload_running(file)
    with pytest.raises(WatchwordError, match="no server runs here with"):
        reload_running(file)


def test_nothing_is_left_of_a_server_that_was_killed(tmp_path: Path) -> None:
    with server(tmp_path / "config.toml", "answers") as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(DEADLINE_SECONDS)
        with pytest.raises(WatchwordError, match="no server runs here with"):
            reload_running(tmp_path / "config.toml")


def test_root_may_reload_the_server_of_another_user_and_nobody_that_of_root(tmp_path: Path) -> None:
    require({"root, to be two users": os.geteuid() == 0})
    file, user = tmp_path / "config.toml", other_user.nobody().pw_uid
    with server(file, "answers", user=user):
        assert reload_running(file).changed == ["logs.level"]
    script = (
        "import os, sys; from pathlib import Path; from server.cli.reload_socket import reload_running\n"
        "os.setuid(int(sys.argv[2]))\n"
        "try: reload_running(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
    )
    with server(file, "answers") as process:
        asked = subprocess.run(
            [sys.executable, "-c", script, str(file), str(user)], cwd=other_user.ROOT,
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        assert asked.stdout == f"the server (pid {process.pid}) belongs to root; run this as that user, or as root\n"


# Any user can listen on the name of a server. This one does not even end.
IMPOSTOR = """
import os, signal, socket, sys, time
os.setuid(int(sys.argv[3]))
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as listening:
    listening.bind(sys.argv[1].replace("@", chr(0)))
    listening.listen()
    print("ready", flush=True)
    kept = []
    while True:
        connection, _ = listening.accept()
        answer = sys.argv[2].encode()
        try:
            connection.sendall(answer * (3 if answer else 0))
        except OSError:
            pass
        if answer:
            connection.close()
        else:
            kept.append(connection)
"""


@contextmanager
def impostor(file: Path, answer: str) -> Iterator[int]:
    # Its number comes first in the order in which servers are told.
    name = f"{reload_socket._beginning(file)}1".replace("\0", "@")
    command = [sys.executable, "-c", IMPOSTOR, name, answer, str(other_user.nobody().pw_uid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("answer", "told"), [("", "did not answer within"), ("{" * 100, "ended before"), ("null", "ended before")]
)
def test_who_listens_in_place_of_a_server_keeps_nobody_from_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, told: str
) -> None:
    require({"root, to be two users": os.geteuid() == 0})
    monkeypatch.setattr(reload_socket, "ANSWER_SECONDS", 0.2)
    file = tmp_path / "config.toml"
    with server(file, "ends") as process, impostor(file, answer) as pid:
        with pytest.raises(WatchwordError) as caught:
            reload_running(file)
        assert f"the server (pid {pid}, of nobody) {told}" in str(caught.value)
        # It was told, and ended.
        assert process.wait(DEADLINE_SECONDS) == 0


def test_servers_of_others_do_not_keep_a_user_from_reloading_the_own_one(tmp_path: Path) -> None:
    require({"root, to be two users": os.geteuid() == 0})
    file, user = tmp_path / "config.toml", other_user.nobody().pw_uid
    script = (
        "import os, sys; from pathlib import Path; from server.cli.reload_socket import reload_running\n"
        "os.setuid(int(sys.argv[2]))\n"
        "print(reload_running(Path(sys.argv[1])).changed)\n"
    )
    with server(file, "answers"), server(file, "answers", user=user):
        asked = subprocess.run(
            [sys.executable, "-c", script, str(file), str(user)], cwd=other_user.ROOT,
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    assert asked.stdout == "['logs.level']\n"


# One that connects, and prints what it gets.
STRANGER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1].replace("@", chr(0)))
    print(connection.recv(9))
"""


def test_of_the_waiting_only_root_and_the_user_of_the_server_are_answered(tmp_path: Path) -> None:
    require({"root, to be two users": os.geteuid() == 0})
    waiters = Waiters(tmp_path / "config.toml")
    assert waiters._socket is not None
    name = waiters._socket.getsockname()
    arguments = [name.decode().replace("\0", "@"), str(other_user.nobody().pw_uid)]
    command = [sys.executable, "-c", STRANGER, *arguments]
    with (
        closing(waiters),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stranger,
        socket.socket(socket.AF_UNIX) as own,
    ):
        own.connect(name)
        accepted: list[socket.socket] = []
        while stranger.poll() is None:
            accepted += waiters.accept()
        waiters.answer(accepted, Outcome())
        assert stranger.stdout is not None
        assert stranger.stdout.read() == "b''\n"
        assert Outcome.from_json(own.recv(1000).decode()) == Outcome([], [], [])
