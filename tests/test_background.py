from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from server import background
from server.background import follow
from server.core.errors import StoreRefused, StoreUnavailable


class Source:
    """A store in which something changes all the time."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def wait_for_change(self, timeout_seconds: float) -> None:
        self.waits.append(timeout_seconds)
        await asyncio.sleep(0)


@pytest.mark.parametrize("failure", [StoreUnavailable(), RuntimeError("a defect")])
async def test_following_reads_everything_after_each_wait_and_survives_failures(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0)
    source, read = Source(), list[str]()
    failures, enough = [failure], asyncio.Event()

    async def revocations() -> None:
        read.append(f"revocations after {len(source.waits)}")
        if failures:
            raise failures.pop()

    async def keys() -> None:
        read.append(f"keys after {len(source.waits)}")
        if len(source.waits) == 3:
            enough.set()

    following = asyncio.create_task(follow(source.wait_for_change, [revocations, keys]))
    async with asyncio.timeout(10):
        await enough.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert read[:5] == [
        "revocations after 1",
        "revocations after 2",
        "keys after 2",
        "revocations after 3",
        "keys after 3",
    ]
    # A key that is revoked elsewhere has to be known within a second, also if the store tells nothing.
    assert 0 < max(source.waits) <= 0.5


async def test_a_master_key_that_can_not_be_read_is_told_in_a_line_in_each_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "ROUND_SECONDS", 0)
    rounds, enough = 0, asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            enough.set()
        raise StoreRefused("watchword.db.key belongs to root; run: chown")

    with capture_logs() as lines:
        running = asyncio.create_task(background._each_round("signing keys", work))
        async with asyncio.timeout(10):
            await enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {line["log_level"] for line in lines} == {"error"}
    assert {line["reason"] for line in lines} == {"watchword.db.key belongs to root; run: chown"}
    assert not any("exc_info" in line for line in lines)
