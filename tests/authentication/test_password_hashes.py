"""What a login costs, and what it leaves in the store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import bcrypt
import pytest

from server.authentication.attempts import Attempts
from server.background import learn_costs
from server.core.errors import Overloaded, StoreUnavailable
from server.http import connection
from server.passwords import foreign
from server.passwords.hasher import Hasher
from server.settings.tree import PasswordSettings
from tests import foreign_hashes
from tests.claims import claims_of
from tests.running import PASSWORD, Api, StartApi


async def hash_of(api: Api, username: str) -> str:
    found = await api.services.repositories.users.find_credentials(username)
    assert found is not None
    assert found.password_hash is not None
    return found.password_hash


async def give_hash(api: Api, username: str, new: str) -> None:
    found = await api.services.repositories.users.find_credentials(username)
    assert found is not None
    assert await api.services.repositories.users.renew_password_hash(found.user.id, found.password_hash or "", new)


def plain_bcrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


@pytest.mark.parametrize("older", [Hasher(4).hash(PASSWORD), plain_bcrypt(PASSWORD)], ids=["cost", "plain bcrypt"])
async def test_an_older_hash_is_renewed_at_login(start_api: StartApi, older: str) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=5))
    await give_hash(api, "lak", older)
    await api.problem(
        await api.request("POST", "/login", json={"username": "lak", "password": "wrong"}), 400, "invalid_credentials"
    )
    assert await hash_of(api, "lak") == older
    assert (await api.log_in("lak"))["token"]
    renewed = await hash_of(api, "lak")
    assert renewed.startswith("$bcrypt-sha256$v=2,t=2b,r=5$")
    assert (await api.log_in("lak"))["token"]
    assert await hash_of(api, "lak") == renewed


@pytest.mark.parametrize("name", foreign_hashes.CHEAP)
async def test_the_first_login_renews_a_hash_of_another_system(api: Api, name: str) -> None:
    imported, password = foreign_hashes.CHEAP[name], foreign_hashes.PASSWORD
    await give_hash(api, "lak", imported)
    for wrong in ("", "wrong", foreign_hashes.OTHER_FORM):
        refused = await api.request("POST", "/login", json={"username": "lak", "password": wrong})
        await api.problem(refused, 400, "invalid_credentials")
    assert await hash_of(api, "lak") == imported
    assert (await api.log_in("lak", password))["token"]
    renewed = await hash_of(api, "lak")
    assert renewed.startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    # From now on another keyboard may type it.
    assert (await api.log_in("lak", foreign_hashes.OTHER_FORM))["token"]
    assert await hash_of(api, "lak") == renewed


async def test_a_role_that_changes_while_the_password_is_hashed_is_in_the_token(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = api.services.hashes.verify
    found = await api.services.repositories.users.find_credentials("lak")
    assert found is not None

    async def verify_slowly(password: str, password_hash: str | None) -> bool:
        right = await verify(password, password_hash)
        await api.services.users.update(found.user.id, role="admin")
        return right

    monkeypatch.setattr(api.services.hashes, "verify", verify_slowly)
    token = await api.token("lak")
    assert claims_of(token)["role"] == "admin"
    assert (await api.request("GET", "/users", token)).status == 200


async def test_a_full_queue_puts_off_the_renewal_and_not_the_login(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=5))
    older = Hasher(4).hash(PASSWORD)
    await give_hash(api, "lak", older)

    async def full(_: str) -> str:
        raise Overloaded

    monkeypatch.setattr(api.services.hashes, "hash", full)
    assert (await api.log_in("lak"))["token"]
    assert await hash_of(api, "lak") == older


class Gate:
    """Lets passwords be checked when told, and counts those that a thread has begun."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.compared_with: list[str | None] = []
        self.opened = threading.Event()
        self.started = asyncio.Event()
        loop = asyncio.get_running_loop()
        verify = Hasher.verify

        def gated(hasher: Hasher, password: str, password_hash: str | None) -> bool:
            self.begun += 1
            self.compared_with.append(password_hash)
            loop.call_soon_threadsafe(self.started.set)
            self.opened.wait(30)
            return verify(hasher, password, password_hash)

        monkeypatch.setattr(Hasher, "verify", gated)
        self._api = api

    def log_in(self, username: str = "lak") -> asyncio.Task[int]:
        async def status() -> int:
            body = {"username": username, "password": PASSWORD}
            return (await self._api.request("POST", "/login", json=body)).status

        return asyncio.create_task(status())


@pytest.fixture
def leaving_is_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server waits a little for a client that has closed its side, since it may still read."""
    monkeypatch.setattr(connection, "HALF_CLOSED_SECONDS", 0)


async def wait_until_waiting(api: Api, count: int) -> None:
    async with asyncio.timeout(10):
        while api.services.hashes.waiting != count:  # noqa: ASYNC110 - the pool has nothing to wait for
            await asyncio.sleep(0)


@pytest.mark.parametrize("username", ["lak", "nobody", "new", "disabled"])
async def test_unknown_disabled_and_wrong_cost_one_hash_each(
    api: Api, monkeypatch: pytest.MonkeyPatch, username: str
) -> None:
    users = api.services.users
    await users.create("new", "New", "customer", None)
    await users.update((await users.create("disabled", "D", "customer", PASSWORD)).user.id, disabled=True)
    gate = Gate(api, monkeypatch)
    gate.opened.set()
    password = PASSWORD if username == "disabled" else "wrong"
    response = await api.request("POST", "/login", json={"username": username, "password": password})
    problem = await api.problem(response, 400, "invalid_credentials")
    assert problem["detail"] == "Invalid username or password"
    assert gate.begun == 1
    # Of a disabled account no password is right: for a right one there is nothing more to compute.
    assert (gate.compared_with == [None]) is (username != "lak")


async def test_beyond_the_queue_a_login_is_told_when_to_come_again(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=1))
    token = await api.token("sahan")
    gate = Gate(api, monkeypatch)
    running = gate.log_in()
    await gate.started.wait()
    queued = gate.log_in()
    await wait_until_waiting(api, 1)
    refused = await api.request("POST", "/login", json={"username": "nobody", "password": "x"})
    await api.problem(refused, 503, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    # Checking a token does not wait for any of that.
    assert (await api.request("GET", "/users", token)).status == 200
    gate.opened.set()
    assert [await running, await queued] == [200, 200]


@pytest.mark.usefixtures("leaving_is_seen_at_once")
async def test_the_hash_of_a_client_that_has_left_is_never_begun(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=8))
    gate = Gate(api, monkeypatch)
    running = gate.log_in()
    await gate.started.wait()
    leaving = [gate.log_in() for _ in range(5)]
    await wait_until_waiting(api, 5)
    for client in leaving:
        client.cancel()
    await wait_until_waiting(api, 0)
    staying = gate.log_in()
    await wait_until_waiting(api, 1)
    gate.opened.set()
    assert [await running, await staying] == [200, 200]
    assert gate.begun == 2


@pytest.mark.usefixtures("leaving_is_seen_at_once")
async def test_a_login_that_was_given_up_before_its_hash_began_is_no_try(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a long queue would use up the attempts of a device whose owner knows the password."""
    api = await start_api(
        passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=100, hash_wait_seconds=50)
    )
    gate = Gate(api, monkeypatch)
    running = gate.log_in("sahan")
    await gate.started.wait()
    for _ in range(80):
        leaving = gate.log_in()
        await wait_until_waiting(api, 1)
        leaving.cancel()
        await wait_until_waiting(api, 0)
    gate.opened.set()
    assert await running == 200
    assert (await api.log_in("lak"))["token"]


async def test_strangers_in_the_queue_hold_up_neither_a_known_device_nor_a_user_who_is_logged_in(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=1))
    body = {"username": "lak", "password": PASSWORD}
    first = await api.request("POST", "/login", json=body)
    mark, token = first.cookies["__Host-watchword-device"].value, (await first.json())["token"]
    gate = Gate(api, monkeypatch)
    strangers = [gate.log_in("nobody")]
    await gate.started.wait()
    strangers.append(gate.log_in("nobody else"))
    await wait_until_waiting(api, 1)
    assert (await api.request("POST", "/login", json=body)).status == 503
    monkeypatch.undo()
    known = await api.request("POST", "/login", json=body, headers={"Cookie": f"__Host-watchword-device={mark}"})
    assert known.status == 200
    change = {"current_password": PASSWORD, "new_password": "seven lamps wander north"}
    assert (await api.request("POST", "/me/password", token, json=change)).status == 204
    gate.opened.set()
    assert [await one for one in strangers] == [400, 400]


@pytest.mark.usefixtures("leaving_is_seen_at_once")
async def test_an_attempt_whose_client_has_left_is_in_the_log_if_it_was_looked_at(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an account could be shut to strangers, and nothing would say by whom."""
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1))
    gate = Gate(api, monkeypatch)
    leaving = gate.log_in()
    await gate.started.wait()
    leaving.cancel()
    async with asyncio.timeout(10):
        while not (found := await api.services.audit.page(limit=1, event="login_failed")):  # noqa: ASYNC110
            await asyncio.sleep(0)
    gate.opened.set()
    assert (found[0].target_name, found[0].after) == ("lak", '{"reason":"left before the answer"}')


async def test_a_login_whose_attempts_can_not_be_settled_is_a_login(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(Attempts, "settle", fail)
    assert (await api.log_in("lak"))["token"]


async def test_a_server_knows_from_its_start_what_the_hashes_in_its_store_cost(start_api: StartApi) -> None:
    """Or the first failed login for a dear one would tell by its time that the account exists."""
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=6))
    kind = foreign.kind_of(await hash_of(api, "lak"))
    assert kind is not None
    await api.client.close()
    await api.services.repositories.close()
    again = await start_api(passwords=PasswordSettings(bcrypt_cost=4))
    async with asyncio.timeout(10):
        while not again.services.hashes.hasher.prepare().failure_cost.knows(kind):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


@pytest.mark.parametrize("failure", [StoreUnavailable(), RuntimeError("a defect")])
async def test_a_server_that_can_not_learn_costs_at_its_start_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def fail(_: Sequence[str]) -> None:
        raise failure

    monkeypatch.setattr(api.services.hashes, "learn", fail)
    await learn_costs(api.services.repositories, api.services.hashes)
    assert (await api.log_in("lak"))["token"]
