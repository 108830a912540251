"""What the tests play with: a customer, the name of the server's cookie, and a server that is held up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from tests.process.server_process import ServerProcess

COOKIE = "__Host-watchword"
DEVICE_COOKIE = "__Host-watchword-device"
USERNAME = "lak"
PASSWORD = "brown otters juggle turnips"

# Takes settings as keywords, by their names in the environment.
Start = Callable[..., ServerProcess]


def with_customer(server: ServerProcess) -> ServerProcess:
    """The same server, with the customer made."""
    token = server.log_in("admin", server.admin_password())["token"]
    customer = {"username": USERNAME, "name": "Lak", "role": "customer", "password": PASSWORD}
    status, body = server.call("POST", "/users", customer, token)
    assert status == 201, body
    return server


@contextlib.contextmanager
def halted(server: ServerProcess) -> Iterator[None]:
    """The server takes connections but answers nothing, so what is sent meanwhile is under way at the same time."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)
