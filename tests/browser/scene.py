"""What the tests play with: a customer, and the names of the server's cookies."""

from __future__ import annotations

from collections.abc import Callable

from tests.in_process import LocalServer

COOKIE = "__Host-watchword"
DEVICE_COOKIE = "__Host-watchword-device"
USERNAME = "lak"
PASSWORD = "brown otters juggle turnips"

# Takes settings as keywords, by their names in the environment.
Start = Callable[..., LocalServer]


def with_customer(server: LocalServer) -> LocalServer:
    """The same server, with the customer made."""
    token = server.log_in("admin", server.admin_password())["token"]
    customer = {"username": USERNAME, "name": "Lak", "role": "customer", "password": PASSWORD}
    status, body = server.call("POST", "/users", customer, token)
    assert status == 201, body
    return server
