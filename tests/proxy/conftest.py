"""Watchword and an application behind nginx."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.scene import PASSWORD, USERNAME, with_customer
from tests.client import Answer, Client, Fields, connected
from tests.in_process import LocalServer, serving
from tests.needed import require
from tests.proxy.application import Application, application
from tests.proxy.nginx import Nginx, nginx_program, running_nginx


@dataclass(frozen=True)
class Scene:
    """What stands where, and tokens of a customer and an admin."""

    watchword: LocalServer
    application: Application
    nginx: Nginx
    customer: str
    admin: str

    def connected(self, source: str = "127.0.0.1") -> contextlib.AbstractContextManager[Client]:
        return connected(self.nginx.port, source)

    def ask(
        self, method: str, path: str, headers: Fields = (), *, token: str | None = None, body: bytes | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        with self.connected() as client:
            return client.ask(method, path, headers, token=token, body=body)


@pytest.fixture(scope="session")
def nginx() -> str:
    """Where nginx is."""
    program = nginx_program()
    require({"nginx with auth_request (Debian package: nginx-light)": program})
    assert program
    return program


@contextlib.contextmanager
def scene_in(folder: Path, nginx: str) -> Iterator[Scene]:
    """All three, running."""
    with (
        serving(folder, WATCHWORD__SERVER__TRUSTED_PROXIES="127.0.0.1") as server,
        application() as running,
        running_nginx(nginx, server.address.removeprefix("http://"), running.address) as proxy,
    ):
        with_customer(server)
        customer = server.log_in(USERNAME, PASSWORD)["token"]
        admin = server.log_in("admin", server.admin_password())["token"]
        yield Scene(server, running, proxy, customer, admin)


@pytest.fixture(scope="module")
def shared_scene(nginx: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_in(tmp_path_factory.mktemp("scene"), nginx) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: Scene) -> Scene:
    """For tests that leave it as it was; the application has forgotten earlier calls."""
    shared_scene.application.calls.clear()
    return shared_scene


@pytest.fixture
def own_scene(nginx: str, tmp_path: Path) -> Iterator[Scene]:
    """For tests that end a part of it."""
    with scene_in(tmp_path, nginx) as scene:
        yield scene
