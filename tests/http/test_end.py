"""The end of a server, as its clients see it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from server.http import runner as server_runner
from server.http.runner import EdgeRunner
from server.passwords.hasher import Hasher
from server.settings.tree import PasswordSettings
from tests.running import PASSWORD, Api, StartApi


async def test_at_the_end_a_login_under_way_is_answered_and_those_behind_it_are_told_to_come_again(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1))
    go_on = threading.Event()
    really_verify = Hasher.verify

    def verify(hasher: Hasher, *arguments: Any) -> bool:
        assert go_on.wait(60)
        return really_verify(hasher, *arguments)

    monkeypatch.setattr(Hasher, "verify", verify)
    body = {"username": "lak", "password": PASSWORD}
    logins = [asyncio.create_task(api.request("POST", "/login", json=body)) for _ in range(8)]
    while api.services.hashes.waiting < 7:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    end = asyncio.create_task(runner_of(api).cleanup())
    done: set[asyncio.Task[Any]] = set()
    while len(done) < 7:
        done, running = await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.01)
    for login in done:
        response = login.result()
        await api.problem(response, 503, "overloaded")
        assert int(response.headers["Retry-After"]) > 0
    go_on.set()
    assert [(await login).status for login in running] == [200]
    await end


async def test_the_end_waits_once_for_a_request_that_does_not_end(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp waits its whole time again after it has cancelled a handler."""
    monkeypatch.setattr(server_runner, "SHUTDOWN_SECONDS", 2.0)
    monkeypatch.setattr(server_runner, "CANCEL_SECONDS", 0.1)
    api = await start_api()
    began, over = asyncio.Event(), asyncio.Event()

    async def stubborn(*_: Any) -> None:
        began.set()
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    monkeypatch.setattr(type(api.services.sessions), "open", stubborn)
    body = {"username": "lak", "password": PASSWORD}
    request = asyncio.create_task(api.request("POST", "/login", json=body))
    await began.wait()
    loop = asyncio.get_running_loop()
    before = loop.time()
    await runner_of(api).cleanup()
    assert loop.time() - before < 3.9
    over.set()
    with pytest.raises(aiohttp.ClientError):
        await request


def runner_of(api: Api) -> EdgeRunner:
    runner = api.client.server.runner
    assert isinstance(runner, EdgeRunner)
    return runner


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_what_busy_clients_have_sent_at_the_signal_is_answered(api: Api) -> None:
    """Each has an answer that did not say `close`, so it sends on. A proxy would not repeat a POST."""
    request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    clients = [await asyncio.open_connection(api.client.host, api.client.port) for _ in range(20)]
    try:
        async with asyncio.timeout(20):
            for reader, writer in clients:
                writer.write(request)
                assert b"Connection: close" not in await reader.readuntil(b'"}')

            def send() -> None:
                for _, writer in clients:
                    writer.write(request)

            runner_of(api).edge_server.on_drain = send
            end = asyncio.create_task(runner_of(api).cleanup())
            answers = [await reader.read() for reader, _ in clients]
            await end
    finally:
        for _, writer in clients:
            writer.transport.abort()
    assert [(one[:13], b"\r\nConnection: close\r\n" in one) for one in answers] == [(b"HTTP/1.1 200 ", True)] * 20
