"""A server beside a move: what it answers while its store is held, afterwards, and when the mover dies."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server.core.errors import StoreRefused
from server.database.transfer import places
from tests.calling import DEADLINE_SECONDS, PAUSE_SECONDS
from tests.database.transfer.filled import contents, move_to
from tests.environment import environment
from tests.running import PASSWORD, Api, StartApi

HOLDER = """
import asyncio, sys
from server.database.transfer import places

async def main():
    async with places.source_at(sys.argv[1]) as source, source.held():
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def holder(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process, which holds the store until it is ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url, env=environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def refuses_writes(api: Api, logged_in: dict[str, str]) -> None:
    for path, body in (
        ("/login", {"username": "lak", "password": PASSWORD}),
        ("/refresh", {"refresh_token": logged_in["refresh_token"]}),
        ("/logout", {"refresh_token": logged_in["refresh_token"]}),
    ):
        response = await api.request("POST", path, json=body)
        problem = await api.problem(response, 503, "store_moving")
        assert problem["reason"] == "store_moving"
        assert response.headers["Retry-After"] == "2"
    response = await api.request("GET", "/health/ready")
    problem = await api.problem(response, 503, "store_unavailable")
    assert problem["reason"] == "store_moving"
    assert (await api.request("GET", "/health/live")).status == 200
    # Tokens are checked, and what is only read is answered.
    assert (await api.request("GET", "/me", logged_in["token"])).status == 200
    assert (await api.request("GET", "/me/sessions", logged_in["token"])).status == 200


async def takes_writes(api: Api, logged_in: dict[str, str]) -> dict[str, str]:
    response = await api.request("POST", "/refresh", json={"refresh_token": logged_in["refresh_token"]})
    assert response.status == 200
    answer: dict[str, str] = await response.json()
    await api.log_in("lak")
    return answer


async def until_let_go(api: Api) -> None:
    """PostgreSQL ends the transaction of a killed process once its own process sees that the connection is closed."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (await api.request("GET", "/health/ready")).status == 503:
        assert time.monotonic() < deadline
        await asyncio.sleep(PAUSE_SECONDS)
        # The answer is kept for a second.
        api.clock.advance(1.1)


async def test_a_held_store_refuses_writes_until_its_holder_is_killed(start_api: StartApi, store_url: str) -> None:
    api = await start_api()
    logged_in = await api.log_in("lak")
    async with holder(store_url) as process:
        await refuses_writes(api, logged_in)
        async with places.source_at(store_url) as source:
            with pytest.raises(StoreRefused, match="is being moved by another process"):
                async with source.held():
                    pass
            assert await source.state() is None
        await refuses_writes(api, logged_in)
        process.kill()
        await process.wait()
        await until_let_go(api)
        await takes_writes(api, logged_in)
    assert (await api.request("GET", "/health/ready")).status == 200


async def test_a_moved_store_refuses_writes_and_tokens_are_good_in_the_new_one(
    start_api: StartApi, store_url: str, tmp_path: Path
) -> None:
    old = await start_api()
    logged_in, ended = await old.log_in("lak"), await old.log_in("lak")
    assert (await old.request("POST", "/logout", json={"refresh_token": ended["refresh_token"]})).status == 204
    target = f"sqlite:///{tmp_path}/new/watchword.db"
    await move_to(store_url, target)
    await refuses_writes(old, logged_in)
    new = await start_api(url=target)
    assert (await new.request("GET", "/me", logged_in["token"])).status == 200
    await new.problem(await new.request("GET", "/me", ended["token"]), 401, "token_revoked")
    logged_in = await takes_writes(new, logged_in)
    assert (await new.services.audit.verify()).fault is None
    await refuses_writes(old, logged_in)
    before = await contents(store_url)
    await places.reopen(store_url)
    old.clock.advance(1.1)
    assert (await old.request("GET", "/health/ready")).status == 200
    assert await contents(store_url) != before


async def test_what_was_acknowledged_meanwhile_has_arrived(start_api: StartApi, store_url: str, tmp_path: Path) -> None:
    old, tokens = await start_api(), []
    enough = asyncio.Event()

    async def log_in_until_refused() -> None:
        while True:
            credentials = {"username": "lak", "password": PASSWORD}
            response = await old.request("POST", "/login", json=credentials)
            answer = await response.json()
            if response.status != 200:
                assert (response.status, answer["code"]) == (503, "store_moving")
                return
            tokens.append(answer["refresh_token"])
            if len(tokens) == 8:
                enough.set()

    working = [asyncio.create_task(log_in_until_refused()) for _ in range(4)]
    await enough.wait()
    target = f"sqlite:///{tmp_path}/new/watchword.db"
    await move_to(store_url, target)
    await asyncio.gather(*working)
    new = await start_api(url=target)
    for token in tokens:
        assert (await new.request("POST", "/refresh", json={"refresh_token": token})).status == 200
