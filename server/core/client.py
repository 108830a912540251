"""Who is at the other end of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """Shown to users beside their sessions; by its address attempts are counted. None: not known."""

    ip: str | None
    user_agent: str | None
