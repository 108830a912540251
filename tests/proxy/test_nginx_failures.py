"""The nginx example: when Watchword can't be asked, nobody gets through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Answer, connected
from tests.in_process import serving
from tests.proxy.application import Application, application
from tests.proxy.conftest import Scene
from tests.proxy.nginx import Nginx, running_nginx

GUARDED = ["/orders", "/admin/reports"]


def unavailable(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.values("Retry-After") == ["1"]
    assert answer.problem()["detail"]


def test_without_watchword_the_answer_is_503_until_it_is_back(own_scene: Scene, tmp_path: Path) -> None:
    scene = own_scene
    with scene.connected() as client:
        assert client.ask("GET", "/orders", token=scene.admin).status == 200
        scene.watchword.stop()
        scene.application.calls.clear()
        for path in GUARDED:
            for token in (scene.admin, None):
                unavailable(client.ask("GET", path, token=token))
            unavailable(client.ask("POST", path, token=scene.admin, body=b"{}"))
        assert scene.application.calls == []
        assert client.ask("GET", "/public/x").status == 200

        port = scene.watchword.address.rpartition(":")[2]
        with serving(tmp_path, WATCHWORD__SERVER__PORT=port):
            assert client.ask("GET", "/admin/reports", token=scene.admin).status == 200


def test_a_watchword_that_does_not_answer_is_waited_for_in_vain_but_not_for_long(own_scene: Scene) -> None:
    with own_scene.watchword.halted():
        unavailable(own_scene.ask("GET", "/orders", token=own_scene.admin))
    assert own_scene.application.calls == []


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Application]:
    """In Watchword's place, with the answers that Watchword does not give."""
    with application() as running:
        yield running


@pytest.fixture(scope="module")
def behind() -> Iterator[Application]:
    with application() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(nginx: str, stand_in: Application, behind: Application) -> Iterator[Nginx]:
    with running_nginx(nginx, stand_in.address, behind.address) as running:
        yield running


@pytest.mark.parametrize("status", [301, 302, 304, 400, 404, 405, 408, 418, 422, 429, 500, 502, 503, 504])
def test_an_answer_that_is_no_decision_lets_nobody_through(
    proxy: Nginx, stand_in: Application, behind: Application, status: int
) -> None:
    stand_in.status = status
    behind.calls.clear()
    with connected(proxy.port) as client:
        for path in GUARDED:
            unavailable(client.ask("GET", path, token="a token"))
    assert behind.calls == []


@pytest.mark.parametrize("status", [200, 204])
def test_a_user_whom_nobody_names_has_no_name_that_the_client_gave(
    proxy: Nginx, stand_in: Application, behind: Application, status: int
) -> None:
    stand_in.status = status
    behind.calls.clear()
    forged = [("X-Auth-Subject", "forged"), ("X-Auth-Username", "forged"), ("X-Auth-Role", "admin")]
    with connected(proxy.port) as client:
        for path in GUARDED:
            assert client.ask("GET", path, forged, token="a token").status == 200
    assert len(behind.calls) == len(GUARDED)
    assert not [name for call in behind.calls for name, _ in call.headers if name.lower().startswith("x-auth")]


def test_the_question_is_a_get_without_body_and_cookies(
    proxy: Nginx, stand_in: Application, behind: Application
) -> None:
    stand_in.status = 204
    stand_in.calls.clear()
    behind.calls.clear()
    cookie = ("Cookie", "__Host-watchword=wwr_secret")
    with connected(proxy.port) as client:
        for path in GUARDED:
            assert client.ask("POST", path, [cookie], token="a token", body=b"{}").status == 200
    assert [(call.method, call.path, call.body) for call in stand_in.calls] == [
        ("GET", "/verify", b""),
        ("GET", "/verify?role=admin", b""),
    ]
    for question in stand_in.calls:
        assert question.values("Authorization") == ["Bearer a token"]
        assert question.values("Content-Length") == question.values("Transfer-Encoding") == []
        assert question.values("Cookie") == []
    assert [call.body for call in behind.calls] == [b"{}", b"{}"]


def test_connections_to_watchword_are_kept(proxy: Nginx, stand_in: Application) -> None:
    stand_in.status = 204
    stand_in.calls.clear()
    with connected(proxy.port) as client:
        assert [client.ask("GET", "/orders", token="a token").status for _ in range(10)] == 10 * [200]
    assert len({call.connection for call in stand_in.calls}) == 1
