"""Other settings take the place of those that serve: whole, at once, and with all that has a state."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest
from pydantic import SecretStr

from server.core.errors import ConfigurationError, StoreRefused, StoreUnavailable
from server.keys.repository import KeyRepository
from server.passwords.hasher import Hasher
from server.settings import Settings
from server.settings.tree import (
    CorsSettings,
    KeySettings,
    LimitSettings,
    LogSettings,
    PasswordSettings,
    RoleSettings,
    ServerSettings,
    TokenSettings,
    default_roles,
)
from tests.http.logged import Log, start_logged
from tests.running import MASTER_KEY, Api, StartApi

SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
SECRETS = tuple(SecretStr(text) for text in ("hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6", "uQ2mZ8rTfB6xWc1LhV5kPj9DnY4sEg7A"))


def with_(api: Api, **sections: Any) -> Settings:
    return api.live.services.settings.model_copy(update=sections)


async def reload(api: Api, **sections: Any) -> None:
    await api.live.prepare(with_(api, **sections))
    api.live.take()


async def status(api: Api, method: str, path: str, token: str | None = None, **options: Any) -> int:
    return (await api.request(method, path, token, **options)).status


def background_tasks() -> set[asyncio.Task[Any]]:
    def is_one(task: asyncio.Task[Any]) -> bool:
        coroutine: Any = task.get_coro()
        return str(coroutine.cr_code.co_filename).endswith("server/background.py")

    return {task for task in asyncio.all_tasks() if is_one(task)}


async def test_what_may_be_changed_at_run_time_is_in_force_for_the_next_request(api: Api) -> None:
    token, admin = await api.token("lak"), await api.token("sahan")
    assert await status(api, "GET", "/users", token) == 403
    roles = default_roles() | {"support": RoleSettings(includes=("customer",))}
    await reload(
        api,
        access={"GET /users": ("customer",)},
        roles=roles,
        cors=CorsSettings(origins=("https://app.example",)),
        server=ServerSettings(max_body_bytes=1024),
        keys=KeySettings(master_key=(SecretStr(MASTER_KEY),), jwks_max_age_seconds=60),
        tokens=TokenSettings(access_ttl_seconds=60),
        passwords=PasswordSettings(bcrypt_cost=5, min_length=30),
        limits=LimitSettings(account_guesses=10),
    )
    # Tokens and sessions go on.
    answer = await api.request("GET", "/users", token, headers={"Origin": "https://app.example"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    me = (await (await api.request("GET", "/me", token)).json())["user"]["id"]
    assert await status(api, "PATCH", f"/users/{me}", admin, json={"role": "support"}) == 200
    assert await status(api, "POST", "/login", json={"username": "lak", "password": "x" * 2000}) == 413
    assert "max-age=60" in (await api.request("GET", "/.well-known/jwks.json")).headers["Cache-Control"]
    assert (await api.log_in("lak"))["expires_in"] == 60
    body = {"username": "new", "name": "New", "role": "customer", "password": "eleven purple otters"}
    assert await status(api, "POST", "/users", admin, json=body) == 422
    for _ in range(7):
        assert await status(api, "POST", "/login", json={"username": "sahan", "password": "wrong"}) == 400
    assert await status(api, "POST", "/login", json={"username": "sahan", "password": "wrong"}) == 429


async def test_what_was_revoked_stays_so_and_what_is_revoked_later_is(api: Api) -> None:
    before, kept = await api.token("lak"), await api.token("lak")
    assert await status(api, "POST", "/logout", before) == 204
    await reload(api, tokens=TokenSettings(access_ttl_seconds=3600))
    assert await status(api, "GET", "/me", before) == 401
    assert await status(api, "GET", "/me", kept) == 200
    assert await status(api, "POST", "/logout", kept) == 204
    assert await status(api, "GET", "/me", kept) == 401


@SQLITE
async def test_a_key_that_is_revoked_during_a_reload_does_not_come_back(api: Api) -> None:
    token = await api.token("lak")
    keys = api.services.keys
    kid = keys.current.signing_key().kid
    await api.live.prepare(with_(api, tokens=TokenSettings(access_ttl_seconds=60)))
    await keys.revoke(kid)
    # As the background does it all the time; it reads both.
    await api.live.refresh_keys()
    api.live.take()
    assert await status(api, "GET", "/me", token) == 401
    assert await status(api, "GET", "/me", await api.token("lak")) == 200


async def test_a_secret_of_hs256_is_followed_by_the_next_without_a_refused_token(start_api: StartApi) -> None:
    first, second = SECRETS
    api = await start_api(tokens=TokenSettings(algorithm="HS256", secret=(first,)))
    old = await api.token("lak")
    await reload(api, tokens=TokenSettings(algorithm="HS256", secret=(second, first)))
    new = await api.token("lak")
    assert [await status(api, "GET", "/me", token) for token in (old, new)] == [200, 200]
    await reload(api, tokens=TokenSettings(algorithm="HS256", secret=(second,)))
    assert [await status(api, "GET", "/me", token) for token in (old, new)] == [401, 200]


@SQLITE
async def test_another_algorithm_signs_at_once_and_the_tokens_of_the_former_one_are_accepted(api: Api) -> None:
    old = await api.token("lak")
    await reload(api, tokens=TokenSettings(algorithm="EdDSA"))
    assert api.live.services.keys.current.signing_key().algorithm == "EdDSA"
    assert [await status(api, "GET", "/me", token) for token in (old, await api.token("lak"))] == [200, 200]


@SQLITE
async def test_a_request_under_way_ends_with_the_settings_it_began_with(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await start_api(passwords=PasswordSettings(bcrypt_cost=4, hash_threads=1, hash_queue=64))
    go_on, begun = threading.Event(), threading.Event()
    really_verify = Hasher.verify

    def verify(hasher: Hasher, *arguments: Any) -> bool:
        begun.set()
        assert go_on.wait(60)
        return really_verify(hasher, *arguments)

    monkeypatch.setattr(Hasher, "verify", verify)
    # One runs, the others wait for the thread that has it.
    logins = [asyncio.create_task(api.log_in("lak")) for _ in range(3)]
    await asyncio.to_thread(begun.wait)
    while api.services.hashes.waiting < 2:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    passwords = PasswordSettings(bcrypt_cost=5, hash_threads=2, hash_queue=0)
    await reload(api, tokens=TokenSettings(access_ttl_seconds=60), passwords=passwords)
    go_on.set()
    assert [(await login)["expires_in"] for login in logins] == [300, 300, 300]
    assert (await api.log_in("lak"))["expires_in"] == 60
    hashes = api.live.services.hashes
    assert (hashes._threads, hashes._queue) == (2, 0)
    # The hash was renewed with the new cost.
    users = api.services.repositories.users
    credentials = await users.find_credentials("lak")
    assert credentials is not None
    assert "r=5" in str(credentials.password_hash)


@SQLITE
@pytest.mark.parametrize(
    ("sections", "error"),
    [
        ({"access": {"GET /nowhere": ("admin",)}}, ConfigurationError),
        ({"keys": KeySettings(master_key=(SECRETS[0],))}, StoreRefused),
    ],
    ids=["a rule of an unknown route", "a master key that opens nothing"],
)
async def test_settings_that_can_not_serve_change_nothing(
    api: Api, sections: dict[str, Any], error: type[Exception]
) -> None:
    before, token = api.live.services, await api.token("lak")
    with pytest.raises(error):
        await api.live.prepare(with_(api, limits=LimitSettings(account_guesses=10), **sections))
    api.live.take()
    assert api.live.services is before
    assert await status(api, "GET", "/me", token) == 200
    assert await status(api, "GET", "/me", await api.token("lak")) == 200


@SQLITE
async def test_while_the_store_is_away_what_needs_no_keys_can_be_changed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await api.token("lak")

    async def away(_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(KeyRepository, "list_keys", away)
    with pytest.raises(StoreUnavailable):
        await api.live.prepare(with_(api, tokens=TokenSettings(access_ttl_seconds=60)))
    verifier = api.live.services.verifier
    await reload(api, access={"GET /users": ("customer",)})
    assert await status(api, "GET", "/users", token) == 200
    # With what it remembers: after a reload not every token has to be verified anew.
    assert api.live.services.verifier is verifier


@SQLITE
async def test_the_log_of_requests_takes_another_form_or_ends(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log)

    async def lines_of_a_request() -> list[str]:
        log.text()
        log.stream.truncate(0)
        log.stream.seek(0)
        await api.request("GET", "/health/live")
        return [line for line in log.text().splitlines() if "/health/live" in line]

    (line,) = await lines_of_a_request()
    assert line.startswith("{")
    await reload(api, logs=LogSettings(requests=False))
    assert await lines_of_a_request() == []
    await reload(api, logs=LogSettings(format="console"))
    (line,) = await lines_of_a_request()
    assert not line.startswith("{")


@SQLITE
async def test_the_tasks_in_the_background_are_the_same_and_follow_the_new_settings(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = background_tasks()
    assert len(tasks) == 5
    refreshed = asyncio.Event()
    await reload(api, tokens=TokenSettings(access_ttl_seconds=60))
    monkeypatch.setattr(api.live.services.keys.current, "_take", lambda _: refreshed.set())
    async with asyncio.timeout(10):
        await refreshed.wait()
    assert background_tasks() == tasks


@SQLITE
async def test_after_many_reloads_only_the_latest_is_left(api: Api) -> None:
    token, former = await api.token("lak"), []
    for seconds in range(60, 70):
        await reload(api, tokens=TokenSettings(access_ttl_seconds=seconds))
        former.append(weakref.ref(api.live.services.verifier))
        assert await status(api, "GET", "/verify", token) == 204
    gc.collect()
    assert [one() is not None for one in former] == [False] * 9 + [True]
