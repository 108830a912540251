"""Two nodes on one PostgreSQL that do not fit together."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient
from structlog.testing import capture_logs

from server import background
from server.app import create_runner, open_services
from server.nodes.model import NodeName
from server.settings.tree import TokenSettings
from tests.running import Api, EdgeTestServer, StartApi, settings_with

postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


@pytest.fixture(autouse=True)
def _beats_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those of the test: else a server beats too, with the clock of tests, which is wrong."""
    each_round = background._each_round

    async def without_nodes(what: str, *arguments: Any) -> None:
        if what != "nodes":
            await each_round(what, *arguments)

    monkeypatch.setattr(background, "_each_round", without_nodes)


async def beat(api: Api, ahead_seconds: float = 0) -> list[tuple[str, str]]:
    """Of a node whose clock is right, or so wrong. Returns what it logs: level and reason."""
    api.clock.set_wall(time.time() + ahead_seconds - api.clock.now_ms() / 1000)
    with capture_logs() as lines:
        await api.services.nodes.beat()
    return [(line["log_level"], line["reason"]) for line in lines]


async def findings(api: Api) -> list[str]:
    return [finding.text for finding in await api.services.nodes.findings()]


@postgres
async def test_what_differs_is_told_once_and_that_it_is_over_too(start_api: StartApi) -> None:
    one = await start_api()
    assert await beat(one) == []
    assert await findings(one) == []
    other = await start_api(tokens=TokenSettings(issuer="elsewhere"))
    await beat(other)
    ((level, reason),) = await beat(one)
    assert level == "warning"
    assert reason.startswith('tokens.issuer is "my-api" here, "elsewhere" on ')
    assert await beat(one) == []
    assert await findings(one) == [reason]
    assert len(await findings(other)) == 1

    assert any("the clock of this machine is 60." in reason for _, reason in await beat(other, -60.5))
    ((level, reason),) = await beat(one)
    assert level == "warning"
    assert re.search(
        r"the clock of .* is \d+\.\d s behind the one of this machine; synchronise .* nodes bear only 7\.5 s", reason
    )
    assert await beat(one) == []

    await other.client.close()
    assert [level for level, _ in await beat(one)] == ["info", "info"]
    assert await findings(one) == []


@postgres
async def test_a_node_says_which_program_it_is_and_is_gone_when_it_ends(start_api: StartApi) -> None:
    api = await start_api()
    await beat(api, -100)
    services = api.services
    (node,) = await services.repositories.nodes.live()
    applied = await services.repositories.driver.read("SELECT max(version) AS latest FROM schema_migrations")
    assert node.latest_migration == applied[0]["latest"]
    assert node.hostname
    # The clock of a test stands still, so it can only have fallen further behind.
    assert -200_000 < node.clock_ahead_ms <= -99_900
    await api.client.close()
    assert await services.repositories.nodes.live() == []


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_an_sqlite_store_has_one_server_which_writes_nothing_of_itself(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[str]()

    async def rounds(what: str, *_: Any) -> None:
        begun.append(what)

    monkeypatch.setattr(background, "_each_round", rounds)
    api = await start_api()
    await asyncio.sleep(0)
    assert "purge" in begun
    assert "nodes" not in begun
    assert await api.services.repositories.nodes.live() == []


@postgres
async def test_a_store_that_is_away_is_no_matter_of_nodes(api: Api) -> None:
    await beat(api)
    services = api.services
    await services.repositories.close()
    with capture_logs() as lines:
        await services.nodes.beat()
        await services.nodes.leave()
    assert not any("nodes" in line["event"] for line in lines)


@postgres
async def test_what_was_told_before_the_settings_were_read_again_is_not_told_again(start_api: StartApi) -> None:
    one, other = await start_api(), await start_api(tokens=TokenSettings(issuer="elsewhere"))
    await beat(other)
    assert len(await beat(one)) == 1
    renewed = one.services.nodes.with_settings(other.services.settings)
    with capture_logs() as lines:
        await renewed.beat()
    assert [(line["log_level"], line["event"]) for line in lines] == [("info", "nodes do not differ in this any more")]


@postgres
async def test_of_the_workers_of_a_server_one_speaks_for_all(
    store_url: str, aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[str]()

    async def rounds(what: str, *_: Any) -> None:
        begun.append(what)

    monkeypatch.setattr(background, "_each_round", rounds)
    for worker in (0, 1):
        async with open_services(
            settings_with(store_url), serving=True, node=NodeName("x", "host", 1, worker=worker)
        ) as services:
            client: TestClient[Any, Any] = await aiohttp_client(EdgeTestServer(create_runner(services)))
            await asyncio.sleep(0)
            await client.close()
    assert begun.count("purge") == 2
    assert begun.count("nodes") == 1
