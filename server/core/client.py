"""The client that sent a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Users see it beside their sessions; failed attempts are counted by its address. None means unknown."""

    ip: str | None
    user_agent: str | None
