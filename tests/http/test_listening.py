"""An address that can't be had is one line with what to do about just that."""

from __future__ import annotations

import errno
import socket
import time

import pytest

from server.core.errors import ConfigurationError
from server.http import listening
from server.http.listening import begin_to_listen, listen_on
from tests.clock import FakeClock
from tests.listening import free_port


def problem_of(host: str, port: int) -> str:
    with pytest.raises(ConfigurationError) as caught:
        listen_on(host, port)
    (problem,) = caught.value.problems
    assert problem.startswith(f"server.host, server.port: can't listen on {host} port {port}: ")
    return problem


def test_a_port_in_use() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "does Watchword run already?" in problem_of("127.0.0.1", other.getsockname()[1])


def test_the_port_of_a_server_that_was_killed_a_moment_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers have it until the system has ended the last of them."""
    with socket.create_server(("127.0.0.1", free_port())) as last:
        monkeypatch.setattr(time, "sleep", lambda _: last.close())
        host, port = last.getsockname()
        with listen_on(host, port, wait_seconds=listening.PORT_SECONDS) as bound:
            assert bound.getsockname() == (host, port)


def test_a_port_in_use_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.advance)
    begun = clock.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigurationError, match="already in use"):
        listen_on(*other.getsockname(), wait_seconds=2.0)
    assert clock.monotonic() - begun == pytest.approx(2.0, abs=0.1)


def test_of_two_servers_that_bind_at_the_same_moment_one_listens() -> None:
    """Both may bind, since neither listens yet (SO_REUSEADDR, socket(7))."""
    with listen_on("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listen_on("127.0.0.1", port) as second:
            begin_to_listen(first, 1)
            says = rf"metrics\.host, metrics\.port: can't listen on .* port {port}: Address already in use"
            with pytest.raises(ConfigurationError, match=says):
                begin_to_listen(second, 1, "metrics")
        with socket.create_connection(("127.0.0.1", port)) as client, first.accept()[0] as accepted:
            assert accepted.getpeername() == client.getsockname()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 300, "127.0.0.1:80"])
def test_an_address_that_is_not_of_this_machine(host: str) -> None:
    problem = problem_of(host, 0)
    assert "does Watchword run already?" not in problem
    assert "127.0.0.1 is for" in problem or "write an address" in problem


def test_an_address_of_a_kind_that_this_machine_does_not_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ::1 without IPv6, which machines of tests have."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    assert "does not speak that kind of address" in problem_of("::1", 0)


def test_a_port_without_the_right_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has that right, so the system's answer is made up."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    problem = problem_of("127.0.0.1", 80)
    assert "ports below 1024" in problem
    assert "does Watchword run already?" not in problem
