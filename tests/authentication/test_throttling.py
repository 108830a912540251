from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from server.authentication.errors import InvalidCredentials, TooManyAttempts
from server.authentication.throttling import FREE_FAILURES, Throttle, network_of
from server.core.errors import Overloaded, StoreUnavailable
from server.passwords.pool import NeverBegun
from server.repositories import open_repositories
from server.users.errors import InvalidResetToken
from tests.accounts import throttle_on
from tests.clock import FakeClock


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("somewhere", "unknown"),
    ],
)
def test_a_client_is_an_address_or_the_network_it_chooses_from(address: str | None, network: str) -> None:
    assert network_of(address) == network


async def may_be_wrong_at_once(throttle: Throttle) -> int:
    """How many attempts at the account may run now. Those end here."""
    attempts = [throttle.login_attempt("lak", "192.0.2.1", None) for _ in range(FREE_FAILURES + 1)]
    running = 0
    with suppress(Overloaded, TooManyAttempts):
        for attempt in attempts:
            await attempt.__aenter__()
            running += 1
    for attempt in attempts[:running]:
        await attempt.__aexit__(None, None, None)
    return running


async def test_whatever_ends_an_attempt_it_does_not_run_any_more(tmp_path: Path) -> None:
    """Nothing looked at, or nothing told: given back. Everything else is a failure, a defect too."""
    store = await open_repositories(f"sqlite:///{tmp_path}/watchword.db", serving=False)
    throttle = throttle_on(store, FakeClock())
    no_attempt = [NeverBegun(), Overloaded(), StoreUnavailable()]
    wrong = [InvalidCredentials(), InvalidResetToken(), asyncio.CancelledError(), RuntimeError(), KeyError("x")]
    for error in (*no_attempt, *wrong):
        with pytest.raises(type(error)):
            async with throttle.login_attempt("lak", "192.0.2.1", None):
                raise error
    assert await may_be_wrong_at_once(throttle) == FREE_FAILURES - len(wrong)
    async with throttle.login_attempt("lak", "192.0.2.1", None) as attempt:
        await attempt.succeeded()
    assert await may_be_wrong_at_once(throttle) == FREE_FAILURES
    await store.close()


async def test_a_client_that_leaves_while_its_attempt_is_taken_leaves_nothing_running(tmp_path: Path) -> None:
    """At whatever step: the store may have taken it when the caller is gone already."""
    store = await open_repositories(f"sqlite:///{tmp_path}/watchword.db", serving=False)
    throttle = throttle_on(store, FakeClock())

    async def look() -> None:
        async with throttle.login_attempt("lak", "192.0.2.1", None):
            raise NeverBegun

    for steps in range(3 * FREE_FAILURES):
        client = asyncio.create_task(look())
        for _ in range(steps):
            await asyncio.sleep(0)
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
    assert await may_be_wrong_at_once(throttle) == FREE_FAILURES
    await store.close()
