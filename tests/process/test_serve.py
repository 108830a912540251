"""`python -m server`, as a process."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests import in_process
from tests.calling import DEADLINE_SECONDS, wait_until
from tests.listening import free_port
from tests.process.server_process import run, serving
from tests.process.test_signals import started


def curl_lines(banner: str) -> list[str]:
    """The commands that the banner shows, each on one line."""
    joined = banner.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip().startswith("curl ")]


def test_the_first_start_shows_how_to_log_in_and_the_second_does_not(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        login, users = curl_lines(server.banner)
        tokens = json.loads(subprocess.check_output(shlex.split(login)))
        listed = json.loads(subprocess.check_output(shlex.split(users.replace("<token>", tokens["token"]))))
        assert [(user["username"], user["role"]) for user in listed["users"]] == [("admin", "admin")]
        assert server.stop() == 0
        assert server.admin_password() not in server.log()
        assert '"mail is off"' in server.log()
        # People are shown first where to sign in, and programs after that.
        at = [server.banner.index(text) for text in (f"Sign in at {server.address}/sign-in\n", "curl ", "listens on")]
        assert at == sorted(at)
    with serving(tmp_path, WATCHWORD__SERVER__PUBLIC_URL="https://Auth.Example.com/") as server:
        assert "password" not in server.banner
        assert "Sign in at https://auth.example.com/sign-in\n" in server.banner
        assert "https://auth.example.com/docs shows the API" in server.banner
        assert server.stop(signal.SIGINT) == 0


def test_what_is_secret_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with in_process.serving(tmp_path):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
        assert {"watchword.db", "watchword.db.key"} <= set(modes)
        assert set(modes.values()) == {0o600}, modes


def test_the_demo_has_the_six_users_of_the_tutorial_and_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, "serve", "--demo") as server:
        rows = [line.split() for line in server.banner.splitlines() if line.endswith("-demo-password")]
        assert [row[0] for row in rows] == ["lak", "david", "john", "nishanthan", "pasindu", "sahan"]
        for username, role, password in rows:
            token = server.log_in(username, password)["token"]
            assert server.call("GET", "/me", token=token)[1]["user"]["role"] == role
            assert server.call("GET", "/users", token=token)[0] == (200 if role == "admin" else 403)
        assert server.stop() == 0
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("stderr")] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_is_in_flight_finish(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as server:
        body = json.dumps({"username": "admin", "password": server.admin_password()}).encode()
        host, port = server.address.removeprefix("http://").split(":")
        address = (host, int(port))
        # An idle connection must not hold the server up.
        with (
            socket.create_connection(address),
            socket.create_connection(address, timeout=DEADLINE_SECONDS) as login,
        ):
            login.sendall(
                b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)
            )
            # It is in flight: the server waits for its body.
            assert login.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
            server.process.send_signal(number)
            wait_until(lambda: server.call("GET", "/health/ready")[0] == 503)
            login.sendall(body)
            answer = b"".join(iter(lambda: login.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["token"]
        assert server.process.wait(DEADLINE_SECONDS) == 0


def test_a_second_server_on_the_same_store_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        second = run(tmp_path, "serve")
        assert second.returncode == 1
        assert second.stderr.startswith("store: ")
        assert "already served" in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert server.call("GET", "/health/ready")[0] == 200


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = run(tmp_path, WATCHWORD__SERVER__PORT=str(taken.getsockname()[1]))
    assert refused.returncode == 2
    assert "server.port" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("section", ["SERVER", "METRICS"])
def test_a_port_that_another_program_takes_during_the_start_is_one_clear_line(
    tmp_path: Path, section: str, workers: int
) -> None:
    """Two servers that are started at the same moment can both bind it, and the second one can't listen."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", free_port()))
        port = other.getsockname()[1]
        changes = {f"WATCHWORD__{section}__PORT": str(port), "WATCHWORD__SERVER__WORKERS": str(workers)}
        with started(tmp_path, settings=changes) as process:
            # The store is made after the port is bound, and before the server listens.
            wait_until((tmp_path / "data" / "watchword.db").exists)
            other.listen()
            _, told = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 2
    where = section.lower()
    says = f"config: {where}.host, {where}.port: can't listen on 127.0.0.1 port {port}: Address already in use; "
    assert {line[: len(says)] for line in told.decode().splitlines() if not line.startswith("{")} == {says}


def test_unusable_settings_end_the_start_with_a_line_each(tmp_path: Path) -> None:
    refused = run(tmp_path, WATCHWORD__SERVER__PORT="x", WATCHWORD__TOKENS__SECRET="hush")
    assert refused.returncode == 2
    assert [line.split(": ")[1] for line in refused.stderr.splitlines()] == ["server.port", "tokens.secret"]
    assert "hush" not in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    "content", [b"this is no database, but text that is long enough", b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_damaged_store_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "watchword.db").write_bytes(content)
    refused = run(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("store: ")
    assert len(refused.stderr.splitlines()) == 1
    assert (tmp_path / "data" / "watchword.db").read_bytes() == content


def test_an_acknowledged_user_survives_kill_9(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        password = server.admin_password()
        token = server.log_in("admin", password)["token"]
        body = {"username": "lak", "name": "Lak", "role": "customer", "password": "brown otters juggle turnips"}
        assert server.call("POST", "/users", body, token)[0] == 201
        server.process.kill()
        server.process.wait()
    with in_process.serving(tmp_path) as after:
        assert after.log_in("lak", "brown otters juggle turnips")["token"]
        # The signing key is in the store, so a token outlives the process that signed it.
        assert after.call("GET", "/users", token=token)[0] == 200
