"""A standby that takes over may be behind, and its transaction numbers with it. On two real servers, behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from server.core.errors import StoreUnavailable
from server.repositories import open_repositories
from tests.calling import PAUSE_SECONDS
from tests.postgres_proxy import PostgresProxy
from tests.postgres_standby import Standby
from tests.running import Api, StartApi

pytestmark = [
    pytest.mark.xdist_group("standby"),
    pytest.mark.parametrize("store_url", ["postgres"], indirect=True),
]

# What the primary does alone: transaction numbers that the standby never hears of.
AHEAD = "DO $$BEGIN FOR number IN 1..2000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$"


async def soon(told: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await told():  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(PAUSE_SECONDS)


async def status(api: Api, token: str) -> int:
    return (await api.request("GET", "/verify", token)).status


async def test_what_is_revoked_at_a_standby_that_took_over_is_refused_everywhere(
    start_api: StartApi, store_url: str, postgres_proxy: PostgresProxy, standby: Standby
) -> None:
    database = urlsplit(store_url).path[1:]
    node = await start_api(url=postgres_proxy.url(database))
    admin = await node.token("sahan")
    users = {}
    for name in ("ada", "bob", "cleo"):
        user = await node.services.users.create(name, name, "customer", "brown otters juggle turnips")
        users[name] = user.user.id
    tokens = {name: await node.token(name) for name in users}
    await standby.catch_up()

    # A standby takes no writes, and may be behind: it is not asked.
    with pytest.raises(StoreUnavailable) as refusal:
        await open_repositories(standby.url(database), serving=True)
    assert "it is a standby" in refusal.value.detail

    await standby.cut_off()
    node.clock.advance(1)
    # Lost with the primary: bob is an admin, in the memory of this node too; and so are many numbers.
    changed = await node.request("PATCH", f"/users/{users['bob']}", admin, json={"role": "admin"})
    assert changed.status == 200
    primary = await asyncpg.connect(store_url)
    await primary.execute(AHEAD)
    await primary.close()
    await node.services.revocations.refresh()
    standby.promote()
    # As when a host dies: nobody hears from it any more, and its address is another one's.
    postgres_proxy.target = standby.socket
    postgres_proxy.hold()

    other = await start_api(url=standby.url(database))
    other.clock.advance(10)
    node.clock.advance(10)
    assert await status(node, tokens["ada"]) == 204
    root = await other.token("sahan")
    disabled = await other.request("PATCH", f"/users/{users['ada']}", root, json={"disabled": True})
    assert disabled.status == 200
    promoted = await other.request("PATCH", f"/users/{users['cleo']}", root, json={"role": "admin"})
    assert promoted.status == 200

    async def refused(name: str) -> bool:
        return await status(node, tokens[name]) == 401

    for name in users:
        # Bob's too, from before a change that the new primary never got.
        await soon(lambda name=name: refused(name))  # type: ignore[misc]
    # And what is issued now is taken by both, though the new primary has lost bob's change and counts on from before.
    for name in ("bob", "cleo"):
        token = await other.token(name)
        await soon(lambda token=token: _is_taken(node, token))  # type: ignore[misc]
    changed = await other.request("PATCH", f"/users/{users['bob']}", root, json={"role": "admin"})
    assert changed.status == 200
    token = await other.token("bob")
    await soon(lambda: _is_taken(node, token))


async def _is_taken(api: Api, token: str) -> bool:
    return await status(api, token) == 204
