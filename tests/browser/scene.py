"""What the tests play with: a customer, and the name of the server's cookie."""

from __future__ import annotations

from collections.abc import Callable

from tests.process.server_process import ServerProcess

COOKIE = "__Host-watchword"
USERNAME = "lak"
PASSWORD = "correct horse battery staple"

# Takes settings as keywords, by their names in the environment.
Start = Callable[..., ServerProcess]


def with_customer(server: ServerProcess) -> ServerProcess:
    """The same server, with the customer made."""
    token = server.log_in("admin", server.admin_password())["token"]
    customer = {"username": USERNAME, "name": "Lak", "role": "customer", "password": PASSWORD}
    status, body = server.call("POST", "/users", customer, token)
    assert status == 201, body
    return server
