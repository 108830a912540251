"""An address that can't be had is one line with what to do about just that."""

from __future__ import annotations

import errno
import socket

import pytest

from server.core.errors import ConfigurationError
from server.http.listening import listen_on


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
