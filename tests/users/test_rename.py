"""Another username: the same account with its sessions, and nobody gets the name of somebody else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from server.audit.model import AuditFilter
from server.core.errors import ApiError, InvalidRequest, NotFound
from server.emails.address import throttle_name
from server.users.errors import UsernameTaken
from tests.claims import claims_of
from tests.in_process import run, serving
from tests.running import PASSWORD, Api, StartApi
from tests.users.test_commands import make

WRONG = {"username": "lak", "password": "not the password of lak"}


async def id_of(api: Api, username: str) -> str:
    return (await api.services.users.credentials_of(username)).user.id


async def test_sessions_go_on_and_the_next_token_has_the_new_name(api: Api) -> None:
    tokens = await api.log_in("lak")
    api.clock.advance(5)
    renamed = await api.services.users.rename(await id_of(api, "lak"), "\uff2cak\uff2doore")
    assert (renamed.username, renamed.updated_at) == ("LakMoore", api.clock.now_ms())
    assert (await api.request("GET", "/me", tokens["token"])).status == 200
    refreshed = await api.request("POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})
    body = await refreshed.json()
    assert claims_of(body["token"])["username"] == "LakMoore"
    assert claims_of(tokens["token"])["sub"] == claims_of(body["token"])["sub"]
    assert await api.token("LAKMOORE")
    await api.problem(await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD}), 400,
                      "invalid_credentials")  # fmt: skip
    found = await (await api.request("GET", "/users?q=kmoor", await api.token("sahan"))).json()
    assert [user["username"] for user in found["users"]] == ["LakMoore"]
    # The old name is free.
    assert (await api.services.users.create("LAK", "Other", "customer", None)).user.username == "LAK"


async def test_it_is_recorded_and_the_log_is_found_by_both_names(api: Api) -> None:
    user_id = await id_of(api, "lak")
    await api.token("lak")
    await api.services.users.rename(user_id, "moore")
    await api.token("moore")
    (record,) = await api.services.repositories.audit.find(AuditFilter(limit=9, event="user_renamed"))
    assert (record.target_id, record.target_name) == (user_id, "lak")
    assert (record.before, record.after) == ('{"username":"lak"}', '{"username":"moore"}')

    async def events(target: str) -> list[str]:
        return [found.event for found in await api.services.audit.page(limit=9, target=target)]

    every = ["login_succeeded", "user_renamed", "login_succeeded", "user_created"]
    assert await events("moore") == await events("MOORE") == await events(user_id) == every
    assert await events("lak") == every[1:]
    # Who has the old name now: theirs, and what has that name.
    other = (await api.services.users.create("lak", "Other", "customer", None)).user
    assert await events("lak") == ["user_created", *every[1:]]
    assert await events(other.id) == ["user_created"]
    await api.services.users.delete(user_id)
    assert await events("moore") == ["user_deleted", "login_succeeded"]


@pytest.mark.parametrize(("username", "told"), [("a b", "Spaces"), ("", "Give a name"), ("p\u0430ypal", "one script"),
                                                ("x" * 129, "at most 128"), ("a\nb", "Control")])  # fmt: skip
async def test_what_is_no_username_is_refused(api: Api, username: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await api.services.users.rename(await id_of(api, "lak"), username)
    (problem,) = caught.value.members["errors"]
    assert (problem["field"], told in problem["message"]) == ("username", True)


@pytest.mark.parametrize("taken", ["sahan", "SAHAN", "\uff53\uff41\uff48\uff41\uff4e"])
async def test_the_name_of_another_is_refused_in_every_spelling_and_nothing_changes(api: Api, taken: str) -> None:
    before = await api.services.users.credentials_of("lak")
    head = await api.services.audit.head()
    with pytest.raises(UsernameTaken):
        await api.services.users.rename(before.user.id, taken)
    with pytest.raises(NotFound):
        await api.services.users.rename("01a21887-4084-7426-9b4e-7ee0a6452ac3", "new")
    # The same name is no change; one's own in another case is.
    assert await api.services.users.rename(before.user.id, "lak") == before.user
    assert (await api.services.users.credentials_of("lak"), await api.services.audit.head()) == (before, head)
    assert (await api.services.users.rename(before.user.id, "LAK")).username == "LAK"


async def test_wrong_passwords_stay_counted_and_those_of_the_new_name_are_not_taken_over(api: Api) -> None:
    user_id = await id_of(api, "lak")
    for _ in range(3):
        await api.request("POST", "/login", json=WRONG)
    for _ in range(5):
        await api.request("POST", "/login", json=WRONG | {"username": "moore"})

    async def counted(username: str) -> list[int]:
        return [one.failures for one in await api.services.throttle.standing(throttle_name(username))]

    assert (await counted("lak"), await counted("moore")) == ([3, 0, 0], [5, 0, 0])
    await api.services.users.rename(user_id, "moore")
    assert (await counted("lak"), await counted("moore")) == ([0, 0, 0], [3, 0, 0])
    await api.services.users.rename(user_id, "MOORE")
    assert await counted("moore") == [3, 0, 0]


async def test_a_device_that_has_logged_in_stays_known(api: Api) -> None:
    logged_in = await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD})
    cookies = [cookie.partition(";")[0] for cookie in logged_in.headers.getall("Set-Cookie")]
    await api.services.users.rename(await id_of(api, "lak"), "moore")
    headers = {"Cookie": "; ".join(cookies)}
    await api.request("POST", "/login", json=WRONG | {"username": "moore"}, headers=headers)
    assert [one.failures for one in await api.services.throttle.standing("moore")] == [0, 1, 0]


async def test_of_many_who_take_a_name_at_once_one_gets_it(start_api: StartApi, store_url: str) -> None:
    servers = [await start_api() for _ in range(1 if store_url.startswith("sqlite") else 2)]
    ids = [(await servers[0].services.users.create(f"user{n}", "N", "customer", None)).user.id for n in range(12)]

    async def take(number: int) -> str:
        users = servers[number % len(servers)].services.users
        try:
            if number % 4 == 3:
                await users.create("Wanted", "New", "customer", None)
            else:
                await users.rename(ids[number], "wanted")
        except ApiError as error:
            return error.code
        return "done"

    for _ in range(3):
        outcomes = await asyncio.gather(*map(take, range(12)))
        assert Counter(outcomes) == {"done": 1, "username_taken": 11}
        await servers[0].services.users.delete(await id_of(servers[0], "wanted"))
        alive = [await servers[0].services.repositories.users.get_user(user_id) for user_id in ids]
        for number, user in enumerate(alive):
            if user is None:
                ids[number] = (await servers[0].services.users.create(f"user{number}", "N", "customer", None)).user.id


def test_the_command_names_both_and_refuses_in_one_line(tmp_path: Path) -> None:
    with serving(tmp_path):
        user_id = make(tmp_path, "lak")
        make(tmp_path, "john")
        renamed = run(tmp_path, "users", "rename", "LAK", "moore")
        assert (renamed.returncode, renamed.stderr) == (0, "")
        assert renamed.stdout.startswith("lak is moore now")
        assert run(tmp_path, "users", "rename", user_id, "Moore").returncode == 0
        for arguments, told in (
            (("moore", "Moore"), "Moore has this name already\n"),
            (("moore", "JOHN"), "username_taken: This username is taken.\n"),
            (("moore", "a b"), "invalid_request: Some fields are not as they should be.\n  username: Spaces are not"),
            (("lak", "lak2"), "not_found: There is no user 'lak'.\n"),
        ):
            refused = run(tmp_path, "users", "rename", *arguments)
            assert (refused.returncode, refused.stdout, refused.stderr[: len(told)]) == (1, "", told)
        (record,) = json.loads(run(tmp_path, "audit", "list", "--limit", "1", "--json").stdout)["events"]
        assert (record["event"], record["before"], record["after"]) == (
            "user_renamed", {"username": "moore"}, {"username": "Moore"},
        )  # fmt: skip
