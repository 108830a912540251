"""`health`, beside real servers and beside what is none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from unittest import mock

import pytest

from server.health import asking
from tests.calling import DEADLINE_SECONDS
from tests.in_process import run, serving
from tests.listening import free_port


@pytest.fixture(autouse=True)
def _any_machine_is_quick_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", DEADLINE_SECONDS)


def _port_of(address: str) -> str:
    return address.rpartition(":")[2]


def _health(folder: Path, port: str, *arguments: str, **changes: str) -> tuple[int, str, str]:
    done = run(folder, "health", *arguments, WATCHWORD__SERVER__PORT=port, **changes)
    return done.returncode, done.stdout, done.stderr


def test_a_server_that_is_well_is_ready_and_live(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = _port_of(server.address)
        assert _health(tmp_path, port) == (0, "ready\n", "")
        assert _health(tmp_path, port, "--live") == (0, "live\n", "")
        # A server that listens on all addresses is asked on the loopback.
        assert _health(tmp_path, port, WATCHWORD__SERVER__HOST="0.0.0.0") == (0, "ready\n", "")  # noqa: S104


def test_the_settings_may_come_from_a_file_that_is_named_before_or_behind(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        (tmp_path / "mine.toml").write_text(f"[server]\nport = {_port_of(server.address)}\n")
        environment = {"WATCHWORD__SERVER__PORT": _port_of(server.address)}
        for arguments in (["--config", "mine.toml", "health"], ["health", "--config", "mine.toml"]):
            assert run(tmp_path, *arguments, **environment).returncode == 0
    assert run(tmp_path, "health", "--config", "missing.toml").returncode == 2


def test_a_server_without_its_store_is_live_and_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        port = _port_of(server.address)
        for file in (tmp_path / "data").iterdir():
            file.unlink()
        code, _, err = _health(tmp_path, port)
        assert code == 1
        assert err.startswith("not ready: /health/ready was answered with 503: ")
        assert err.count("\n") == 1
        assert _health(tmp_path, port, "--live") == (0, "live\n", "")


def test_where_nobody_listens_the_reason_is_said(tmp_path: Path) -> None:
    port = str(free_port())
    assert _health(tmp_path, port) == (1, "", f"not answering: 127.0.0.1 port {port}: Connection refused\n")
    code, _, err = _health(tmp_path, port, WATCHWORD__SERVER__HOST="no\u00adsuch host\u007f")
    assert (code, err.count("\n")) in {(1, 1), (2, 1)}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "was answered with 200\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "was answered with 200\n"),
        (b"HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n[]", "was answered with 503\n"),
        (b"HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\nnot found", "was answered with 404\n"),
        (b'HTTP/1.1 503 X\r\nContent-Length: 22\r\n\r\n{"detail": "\\u202eno"}', "503: \\u202eno\n"),
    ],
)
def test_what_is_no_watchword_is_one_line_and_exit_code_1(tmp_path: Path, sent: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(sent)

        thread = threading.Thread(target=answer)
        thread.start()
        code, out, err = _health(tmp_path, str(listening.getsockname()[1]))
        thread.join()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


def test_a_server_that_hangs_is_not_waited_for_forever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, mock.patch.object(asking, "WAIT_SECONDS", 0.01):
        code, _, err = _health(tmp_path, str(listening.getsockname()[1]))
    assert (code, "timed out" in err) == (1, True)


def test_a_port_that_is_picked_at_the_start_is_not_known(tmp_path: Path) -> None:
    code, _, err = _health(tmp_path, "0")
    assert (code, err) == (2, "config: server.port: is 0, so nobody knows which port was picked; give it a number\n")
