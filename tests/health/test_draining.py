"""While a server ends, whoever asks for its health hears of it as long as requests are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from server.health.errors import Draining
from server.http import runner as server_runner
from server.http.runner import EdgeRunner
from tests.running import Api, StartApi

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
BOUND_SECONDS = 10
HALF = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"


class UnderWay:
    """A request whose body has not arrived yet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def finish(self) -> bytes:
        """Send the rest; the whole answer, after which the server closes."""
        self._writer.write(b"}")
        async with asyncio.timeout(BOUND_SECONDS):
            return await self._reader.read()


@asynccontextmanager
async def under_way(api: Api) -> AsyncIterator[UnderWay]:
    server = runner_of(api).server
    assert server is not None
    before = server.requests_count
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(HALF)
    while server.requests_count == before:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.005)
    yield UnderWay(reader, writer)
    writer.close()


def runner_of(api: Api) -> EdgeRunner:
    runner = api.client.server.runner
    assert isinstance(runner, EdgeRunner)
    return runner


async def assert_draining(api: Api, client: aiohttp.ClientSession) -> None:
    async with client.get(api.client.make_url("/health/ready")) as response:
        body = await api.problem(response, 503, "draining")
        assert (body["reason"], body["detail"]) == ("draining", Draining.default_detail)
        # The next request should go to another server.
        assert response.headers["Connection"] == "close"
    async with client.get(api.client.make_url("/health/live")) as response:
        assert response.status == 200


async def test_a_server_that_ends_is_not_ready_on_old_and_new_connections(api: Api) -> None:
    await api.request("GET", "/health/ready")
    async with under_way(api) as request, aiohttp.ClientSession() as stranger:
        end = asyncio.create_task(runner_of(api).cleanup())
        await asyncio.sleep(0)
        await assert_draining(api, api.client.session)
        await assert_draining(api, stranger)
        assert (await request.finish()).startswith(b"HTTP/1.1 422")
        await end
        with pytest.raises(aiohttp.ClientConnectionError):
            await stranger.get(api.client.make_url("/health/ready"))


async def test_what_comes_while_others_finish_is_answered(api: Api) -> None:
    """The balancer in front may not have noticed yet."""
    async with under_way(api) as first:
        end = asyncio.create_task(runner_of(api).cleanup())
        await asyncio.sleep(0)
        async with under_way(api) as second:
            assert await api.token("lak")
            # The end waits for those that were there when it began.
            await first.finish()
            assert (await second.finish()).startswith(b"HTTP/1.1 422")
        await end


async def test_a_request_that_does_not_finish_is_not_listened_for_beyond_the_limit(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_runner, "DRAIN_SECONDS", 0.1)
    monkeypatch.setattr(server_runner, "SHUTDOWN_SECONDS", 0.3)
    api = await start_api()
    async with under_way(api):
        async with asyncio.timeout(BOUND_SECONDS):
            await runner_of(api).cleanup()
        with pytest.raises(aiohttp.ClientConnectionError):
            await api.request("GET", "/health/live")
