"""Servers that mail, whose requests for mails are answered when a test says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.asking import MAIL
from tests.running import Api, StartApi


@pytest.fixture(autouse=True)
def _no_round_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """But the first one, at the start of a server."""
    monkeypatch.setattr("server.background.REQUEST_SECONDS", 3600)


@pytest.fixture
def changes() -> dict[str, Any]:
    """The settings of `mailing` that a test wants otherwise."""
    return {}


@pytest.fixture
async def mailing(start_api: StartApi, changes: dict[str, Any]) -> Api:
    return await start_api(**({"mail": MAIL} | changes))
