"""Nobody learns by a request for a mail whether a name is anybody's (CWE-204, CWE-208; OWASP Forgot Password)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.core.origin import current_origin
from server.database.driver import Result, Transaction, Unit
from tests.recovery.asking import ASKING, forgot, mails, verify
from tests.running import Api


class _Listening:
    """A transaction that writes down its statements."""

    def __init__(self, transaction: Transaction, heard: list[str]) -> None:
        self._transaction = transaction
        self._heard = heard

    async def run(self, sql: str, *parameters: Any) -> Any:
        self._heard.append(sql)
        return await self._transaction.run(sql, *parameters)

    async def lock(self, name: str) -> None:
        self._heard.append(f"lock {name}")
        await self._transaction.lock(name)

    async def announce(self) -> None:
        self._heard.append("announce")
        await self._transaction.announce()


def listen(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on every statement of a request is in the list that is returned; those of the background are not."""
    heard: list[str] = []
    driver: Any = api.services.repositories.driver
    write: Callable[..., Awaitable[Any]] = driver.write

    async def written(unit: Unit[Result]) -> Result:
        async def heard_unit(transaction: Transaction) -> Result:
            return await unit(_Listening(transaction, heard))

        result: Result = await write(heard_unit if current_origin().via == "http" else unit)
        return result

    monkeypatch.setattr(driver, "write", written)
    for name in ("read", "read_soon", "write_one"):
        original: Callable[..., Awaitable[Any]] = getattr(driver, name)

        async def one(sql: str, *parameters: Any, original: Callable[..., Awaitable[Any]] = original) -> Any:
            if current_origin().via == "http":
                heard.append(sql)
            return await original(sql, *parameters)

        monkeypatch.setattr(driver, name, one)
    return heard


async def people(api: Api) -> dict[str, str]:
    """Names to ask with, of each kind that no answer may tell apart."""
    users = api.services.users
    await verify(api, "lak", "lak@example.com")
    for name in ("disabled", "unverified", "throttled", "locked"):
        await users.create(name, name, "customer", "brown otters juggle turnips")
    for name in ("disabled", "throttled", "locked"):
        await verify(api, name, f"{name}@example.com")
    disabled = await users.credentials_of("disabled")
    await users.update(disabled.user.id, disabled=True)
    for _ in range(5):
        await forgot(api, "throttled")
    await api.services.recovery.resolve()
    return {
        "known": "lak",
        "by address": "lak@example.com",
        "unknown": "nobody",
        "unknown address": "nobody@example.com",
        "no name at all": "\u0000 two words \u202e",
        "disabled": "disabled",
        "unverified": "unverified",
        "throttled": "throttled",
    }


@pytest.mark.parametrize("path", ASKING)
async def test_the_store_does_the_same_whoever_it_is(mailing: Api, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """So the time of the answer says nothing. What is done later waits for a round of the background."""
    names = await people(mailing)
    mailing.clock.advance(1)
    heard = listen(mailing, monkeypatch)
    done: dict[str, list[str]] = {}
    answers = set()
    for kind, name in names.items():
        heard.clear()
        response = await mailing.request("POST", path, json={"identifier": name})
        done[kind] = list(heard)
        shape = await response.json() if path == "/login/code" else await response.read()
        answers.add((response.status, len(shape), tuple(sorted(response.headers)), tuple(response.cookies)))
    assert len(answers) == 1, answers
    assert answers.pop()[0] == 202
    assert done["known"], "nothing was heard"
    assert [kind for kind in done if done[kind] != done["known"]] == []
    assert not [sql for sql in done["known"] if "users" in sql or "emails" in sql]
    monkeypatch.undo()
    await mailing.services.recovery.resolve()
    # The five of the one who gets no more, and two of the one who is known.
    assert [mail.recipient for mail in await mails(mailing)][5:] == ["lak@example.com"] * 2
