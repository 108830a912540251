"""Two nodes on one database: one takes a request, either answers it, and the other one keeps what it has promised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.settings.tree import ServerSettings
from tests.recovery.asking import MAIL, NEW_PASSWORD, ask_code, browser_of, confirm, forgot, mailed, reset, verify
from tests.running import Api, StartApi

pytestmark = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


async def two(start_api: StartApi) -> tuple[Api, Api]:
    changes: dict[str, Any] = {"mail": MAIL, "server": ServerSettings(public_url="https://auth.example.com")}
    first = await start_api(**changes)
    second = await start_api(**changes)
    await verify(first, "lak", "lak@example.com")
    return first, second


async def test_what_one_has_asked_for_the_other_answers_and_keeps(start_api: StartApi) -> None:
    first, second = await two(start_api)
    browser = browser_of(await forgot(first, "lak"))
    mail = await mailed(second)
    assert (await reset(second, browser=browser, reset_token=mail.token)).status == 204
    await first.problem(await reset(first, browser=browser, reset_token=mail.token), 400, "reset_invalid")
    await first.log_in("lak", NEW_PASSWORD)
    challenge = await ask_code(first, "lak")
    code = (await mailed(first)).code
    assert (await confirm(second, challenge=challenge, code=code)).status == 200
    await first.problem(await confirm(first, challenge=challenge, code=code), 400, "code_invalid")


async def test_one_code_at_both_at_the_same_moment_opens_one_session(start_api: StartApi) -> None:
    first, second = await two(start_api)
    challenge = await ask_code(first, "lak")
    code = (await mailed(first)).code
    answers = await asyncio.gather(*(confirm(api, challenge=challenge, code=code) for api in (first, second) * 4))
    assert sorted(answer.status for answer in answers) == [200, *[400] * 7]
    user = (await first.services.users.credentials_of("lak")).user
    assert await first.services.sessions.count(user.id) == 1


async def test_resets_at_both_at_the_same_moment_set_one_password(start_api: StartApi) -> None:
    first, second = await two(start_api)
    browser = browser_of(await forgot(first, "lak"))
    mail = await mailed(first)
    passwords = [f"{NEW_PASSWORD} {number}" for number in range(6)]
    nodes = [first, second] * 3
    answers = await asyncio.gather(
        *(
            reset(api, password, browser=browser, reset_token=mail.token)
            for api, password in zip(nodes, passwords, strict=True)
        )
    )
    assert sorted(answer.status for answer in answers) == [204, *[400] * 5]
    right = passwords[[answer.status for answer in answers].index(204)]
    await second.log_in("lak", right)


async def test_of_requests_answered_at_both_the_last_reset_is_the_one_that_counts(start_api: StartApi) -> None:
    """A newer reset ends the older ones, also if another node has made it at the same moment."""
    first, second = await two(start_api)
    for _ in range(4):
        await forgot(first, "lak")
    await asyncio.gather(first.services.recovery.resolve(), second.services.recovery.resolve())
    await first.services.recovery.resolve()
    open_ones = await first.services.repositories.driver.read("SELECT id FROM challenges WHERE used_at IS NULL")
    assert len(open_ones) == 1
