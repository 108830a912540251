"""Requests at the same moment at several processes: SQLite with 2 and 4 workers, PostgreSQL with two nodes of 2 each.

What may happen once happens once, and what one process decided holds in all.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.calling import Caller
from tests.keys.load import keys, of_state, rotate_and_revoke_under_load
from tests.postgres import PostgresServer, database
from tests.process.clients import Clients, Told
from tests.process.server_process import ServerProcess, serving
from tests.process.test_workers import settings
from tests.running import PASSWORD
from tests.users.test_races import SPELLINGS, WAYS
from tests.volume import volume

Result = TypeVar("Result")

TIMES = 50
# The helper may change users and is no admin, so no demotion is refused for whom it comes from.
HELPERS = ("GET /users", "POST /users", "PATCH /users/{user_id}", "DELETE /users/{user_id}")
SUPPORT = {
    "WATCHWORD__ROLES": '{"customer": {}, "admin": {"includes": ["customer", "support"]}, "support": {}}',
    "WATCHWORD__ACCESS": json.dumps({route: ["support"] for route in HELPERS}),
    "WATCHWORD__SERVER__TRUSTED_PROXIES": "127.0.0.1",
    # None of the requests at the same moment is turned away, so each meets the others in the store.
    "WATCHWORD__PASSWORDS__HASH_QUEUE": "2000",
}


class Site(Clients):
    """Nodes with workers on one store that was empty when all of them started, and clients that reach every worker."""

    def __init__(self, folder: Path, settings: dict[str, str], nodes: list[ServerProcess], workers: int) -> None:
        super().__init__([node.address for node in nodes])
        self.folder = folder
        self.settings = settings
        self.nodes = nodes
        self.workers = workers * len(nodes)
        self._has_helper = False
        self.admin_password = next(node.admin_password() for node in nodes if "password  " in node.banner)

    def play(self, scene: Coroutine[Any, Any, Result]) -> Result:
        async def played() -> Result:
            async with self.opened():
                return await scene

        return asyncio.run(played())

    async def log_in(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        told = await self.call("POST", "/login", {"username": username, "password": password})
        assert told.status == 200, told
        return told.body

    async def helper(self) -> str:
        """A token of the role `support`."""
        if not self._has_helper:
            token = (await self.log_in("admin", self.admin_password))["token"]
            user = {"username": "helper", "name": "Helper", "role": "support", "password": PASSWORD}
            assert (await self.call("POST", "/users", user, token)).status == 201
            self._has_helper = True
        found: str = (await self.log_in("helper"))["token"]
        return found

    async def add(self, username: str, role: str = "customer") -> str:
        """Make a user; its id."""
        user = {"username": username, "name": username, "role": role, "password": PASSWORD}
        told = await self.call("POST", "/users", user, await self.helper())
        assert told.status == 201, told
        made: str = told.body["user"]["id"]
        return made

    async def at_once(self, calls: list[Coroutine[Any, Any, Told]]) -> list[Told]:
        """The answers to calls that every worker has got some of."""
        told = await asyncio.gather(*calls)
        assert len({one.worker for one in told}) == self.workers
        return told


# The store, how many nodes, and the workers of each.
LAYOUTS = [("sqlite", 1, 2), ("sqlite", 1, 4), ("postgres", 2, 2)]


# One process of the tests does all of a layout, so its servers start once.
SITES = [
    pytest.param(layout, id="-".join(map(str, layout)), marks=pytest.mark.xdist_group(f"races {layout}"))
    for layout in LAYOUTS
]


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    store, nodes, workers = request.param
    folder = tmp_path_factory.mktemp("races")
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/watchword.db"
        if store == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            runner = stack.enter_context(asyncio.Runner())
            empty = database(server, request.getfixturevalue("worker_id"), "template1")
            url = runner.run(empty.__aenter__())
            stack.callback(lambda: runner.run(empty.__aexit__(None, None, None)))
        same = settings(url, workers) | SUPPORT
        with ThreadPoolExecutor() as threads:
            starting = [
                threads.submit(
                    stack.enter_context, serving(folder, log_to=folder / f"log{number}", module="server", **same)
                )
                for number in range(nodes)
            ]
            started = [start.result() for start in starting]
        yield Site(folder, same, started, workers)


def test_nodes_and_workers_that_start_on_an_empty_store_make_one_admin_and_one_set_of_keys(site: Site) -> None:
    assert sum("password  " in node.banner for node in site.nodes) == 1
    listed = keys(site.folder, site.settings)
    assert (len(of_state(listed, "active")), len(of_state(listed, "next"))) == (1, 1)
    site.play(site.log_in("admin", site.admin_password))


def test_a_refresh_token_that_is_used_many_times_at_once_has_one_successor(site: Site) -> None:
    async def scene() -> None:
        await site.add("refreshing")
        answer = await site.log_in("refreshing")
        for _ in range(volume(50)):
            body = {"refresh_token": answer["refresh_token"]}
            told = await site.at_once([site.call("POST", "/refresh", body) for _ in range(TIMES)])
            assert {one.status for one in told} == {200}
            assert len({one.body["refresh_token"] for one in told}) == 1
            answer = told[0].body
        sessions = (await site.call("GET", "/me/sessions", token=answer["token"])).body["sessions"]
        assert len(sessions) == 1

    site.play(scene())


def test_an_old_refresh_token_ends_the_session_in_every_worker(site: Site) -> None:
    """RFC 9700 section 4.14.2."""

    async def scene() -> None:
        await site.add("stolen")
        first = await site.log_in("stolen")
        second = (await site.call("POST", "/refresh", {"refresh_token": first["refresh_token"]})).body
        third = (await site.call("POST", "/refresh", {"refresh_token": second["refresh_token"]})).body
        body = {"refresh_token": first["refresh_token"]}
        told = await site.at_once([site.call("POST", "/refresh", body) for _ in range(TIMES)])
        assert {one.status for one in told} == {401}
        assert {one.body["code"] for one in told} <= {"refresh_reused", "refresh_invalid"}
        for answer in (first, second, third):
            await site.until_all_refuse(answer["token"], site.workers)
            assert (await site.call("POST", "/refresh", {"refresh_token": answer["refresh_token"]})).status == 401

    site.play(scene())


def test_what_is_revoked_at_one_worker_is_refused_by_all(site: Site) -> None:
    async def scene() -> None:
        helper = await site.helper()
        for number, change in enumerate([{"disabled": True}, {"role": "support"}, None]):
            user_id = await site.add(f"changed{number}")
            tokens = [(await site.log_in(f"changed{number}"))["token"] for _ in range(3)]
            method = "DELETE" if change is None else "PATCH"
            assert (await site.call(method, f"/users/{user_id}", change, helper)).status in {200, 204}
            for token in tokens:
                await site.until_all_refuse(token, site.workers)
        await site.add("leaving")
        for _ in range(volume(50)):
            token = (await site.log_in("leaving"))["token"]
            assert (await site.call("POST", "/logout", token=token)).status == 204
            await site.until_all_refuse(token, site.workers)

    site.play(scene())


def test_wrong_passwords_at_the_same_moment_get_no_more_at_several_workers(site: Site) -> None:
    async def scene() -> None:
        for number in range(2):
            await site.add(f"guessed{number}")
            guess = {"username": f"guessed{number}", "password": "wrong"}
            told = await site.at_once(
                [site.call("POST", "/login", guess, client=f"198.51.100.{source}") for source in range(60)]
            )
            # After 20 one has to wait (docs/security.md).
            assert Counter(one.status for one in told)[400] == 20
            assert {one.status for one in told} <= {400, 429, 503}

    site.play(scene())


def test_of_many_users_of_one_name_made_at_once_there_is_one(site: Site) -> None:
    async def scene() -> None:
        token = await site.helper()

        def user(number: int) -> dict[str, Any]:
            named = {"username": SPELLINGS[number % len(SPELLINGS)], "name": "Pasindu", "role": "customer"}
            # Some wait for their hash, so not all arrive in the order in which they were sent.
            return named | ({"password": PASSWORD} if number % 3 else {})

        told = await site.at_once([site.call("POST", "/users", user(number), token) for number in range(TIMES)])
        assert Counter(one.status for one in told) == {201: 1, 409: TIMES - 1}
        assert {one.body["code"] for one in told if one.status == 409} == {"username_taken"}

    site.play(scene())


class Nodes(Caller):
    """Calls the nodes in turn."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.nodes[0].address)
        self._site = site

    @property
    def address(self) -> str:
        return next(self._site._addresses)

    @address.setter
    def address(self, _: str) -> None:
        pass


def test_no_token_is_refused_while_keys_rotate_and_a_revoked_key_is_by_all(site: Site) -> None:
    rotate_and_revoke_under_load(Nodes(site), site.admin_password, site.folder, site.settings)


def test_of_demotions_of_the_last_two_admins_at_once_one_admin_is_left(site: Site) -> None:
    async def admins() -> list[str]:
        told = await site.call("GET", "/users?role=admin&disabled=false", token=await site.helper())
        assert told.status == 200, told
        return sorted(user["id"] for user in told.body["users"])

    async def scene() -> None:
        token = await site.helper()
        for number in range(volume(40)):
            await site.add(f"admin{number}", "admin")
            last_two = await admins()
            assert len(last_two) == 2
            targets = [last_two[n % 2] for n in range(TIMES)]
            # Each way meets each of the two; every round begins with another.
            ways = [WAYS[(n // 2 + number) % len(WAYS)] for n in range(TIMES)]
            told = await site.at_once(
                [
                    site.call(method, f"/users/{user_id}", options.get("json"), token)
                    for (method, options), user_id in zip(ways, targets, strict=True)
                ]
            )
            (left,) = await admins()
            answers = Counter(
                (user_id == left, one.body.get("code", "done")) for user_id, one in zip(targets, told, strict=True)
            )
            assert answers.pop((True, "last_admin")) == TIMES // 2
            assert answers.pop((False, "done")) > 0
            # Who is deleted is not found.
            assert set(answers) <= {(False, "not_found")}

    site.play(scene())
