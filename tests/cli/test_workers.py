"""What ends a worker."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from server.cli import workers


async def test_a_worker_whose_parent_is_gone_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end takes as long as its requests: to be told in each round of the loop would take time from them."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *signal_to: sent.append(signal_to))
    readable, writable = os.pipe()
    workers.end_with(readable)
    await asyncio.sleep(0)
    assert sent == []
    os.close(writable)
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    os.close(readable)
