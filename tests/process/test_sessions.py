"""Sessions across processes: two servers on one store, and kill -9."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests import in_process
from tests.calling import Caller, wait_until_revoked
from tests.claims import claims_of
from tests.in_process import LocalServer, run
from tests.process.server_process import ServerProcess, serving
from tests.running import MASTER_KEY, PASSWORD
from tests.volume import volume


class Site:
    """A store, and the processes that use it."""

    def __init__(self, folder: Path, store_url: str, stack: ExitStack) -> None:
        self._folder = folder
        self._settings = {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
        self._stack = stack
        for username, role in (("lak", "customer"), ("sahan", "admin")):
            options = ("--username", username, "--role", role, "--password-stdin")
            done = run(folder, "users", "create", *options, stdin=PASSWORD, **self._settings)
            assert done.returncode == 0, done.stderr

    def serve(self) -> ServerProcess:
        return self._stack.enter_context(serving(self._folder, log_to=None, module="server", **self._settings))

    def serve_here(self) -> LocalServer:
        return self._stack.enter_context(in_process.serving(self._folder, **self._settings))


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, store_url, stack)


on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


def refresh(server: Caller, token: str) -> tuple[int, dict[str, Any]]:
    return server.call("POST", "/refresh", {"refresh_token": token})


@on_postgres
def test_50_uses_spread_over_two_processes_200_rounds(site: Site) -> None:
    addresses = [site.serve().address for _ in range(2)]

    async def play() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            body = {"username": "lak", "password": PASSWORD}
            async with client.post(addresses[0] + "/login", json=body) as response:
                answer = await response.json()

            async def use(number: int) -> dict[str, Any]:
                sent = {"refresh_token": answer["refresh_token"]}
                async with client.post(addresses[number % 2] + "/refresh", json=sent) as response:
                    assert response.status == 200, await response.text()
                    told: dict[str, Any] = await response.json()
                    return told

            for _ in range(volume(200)):
                answers = await asyncio.gather(*(use(number) for number in range(50)))
                assert len({told["refresh_token"] for told in answers}) == 1
                answer = answers[0]
            headers = {"Authorization": f"Bearer {answer['token']}"}
            async with client.get(addresses[1] + "/me/sessions", headers=headers) as response:
                assert len((await response.json())["sessions"]) == 1

    asyncio.run(play())


@on_postgres
def test_a_logout_at_one_node_is_known_at_the_other(site: Site) -> None:
    one, two = site.serve(), site.serve()
    answer = one.log_in("lak", PASSWORD)
    assert two.call("GET", "/me", token=answer["token"])[0] == 200
    assert one.call("POST", "/logout", token=answer["token"])[0] == 204
    wait_until_revoked(two, answer["token"])


def test_what_was_revoked_stays_so_after_kill_9_and_restart(site: Site) -> None:
    """Theft, logout and a new role: the access tokens are as dead in the next process, from its first answer on."""
    server = site.serve()
    stolen, ended, changed = (server.log_in("lak", PASSWORD) for _ in range(3))
    kept = server.log_in("sahan", PASSWORD)
    successor = refresh(server, refresh(server, stolen["refresh_token"])[1]["refresh_token"])[1]
    assert refresh(server, stolen["refresh_token"])[1]["code"] == "refresh_reused"
    wait_until_revoked(server, successor["token"])
    assert server.call("POST", "/logout", token=ended["token"])[0] == 204
    path = f"/users/{claims_of(changed['token'])['sub']}"
    assert server.call("PATCH", path, {"role": "admin"}, kept["token"])[0] == 200
    server.stop(signal.SIGKILL)
    after = site.serve_here()
    for answer in (stolen, successor, ended, changed):
        assert after.call("GET", "/me", token=answer["token"])[1].get("code") == "token_revoked"
    for answer in (stolen, successor, ended):
        assert refresh(after, answer["refresh_token"])[0] == 401
    assert refresh(after, changed["refresh_token"])[0] == 200
    assert after.call("GET", "/users", token=kept["token"])[0] == 200
    assert refresh(after, kept["refresh_token"])[0] == 200
