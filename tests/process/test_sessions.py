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

from tests.calling import wait_until_revoked
from tests.claims import claims_of
from tests.process.server_process import ServerProcess, serving
from tests.running import PASSWORD
from tests.site_of_servers import Site, on_postgres, refresh
from tests.volume import volume


class ProcessSite(Site):
    """The same, with servers that are processes."""

    def serve(self) -> ServerProcess:
        return self.stack.enter_context(serving(self.folder, log_to=None, module="server", **self.settings))


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Iterator[ProcessSite]:
    with ExitStack() as stack:
        yield ProcessSite(tmp_path, store_url, stack)


@on_postgres
def test_50_uses_spread_over_two_processes_200_rounds(site: ProcessSite) -> None:
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
def test_a_logout_at_one_node_is_known_at_the_other(site: ProcessSite) -> None:
    one, two = site.serve(), site.serve()
    answer = one.log_in("lak", PASSWORD)
    assert two.call("GET", "/me", token=answer["token"])[0] == 200
    assert one.call("POST", "/logout", token=answer["token"])[0] == 204
    wait_until_revoked(two, answer["token"])


def test_what_was_revoked_stays_so_after_kill_9_and_restart(site: ProcessSite) -> None:
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
