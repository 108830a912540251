"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.core.clock import Clock
from server.core.errors import ApiError, StoreUnavailable
from server.core.ids import Ids
from server.settings import LoadedSettings, Settings


class Level(StrEnum):
    """How bad it is. Only `wrong` makes the command fail."""

    OK = "ok"
    # Good to know.
    NOTE = "note"
    # It works, and should be looked at.
    WARNING = "warning"
    # It does not work, or soon will not.
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about a topic, and what to do about it."""

    topic: str
    level: Level
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is looked at."""

    loaded: LoadedSettings
    clock: Clock
    ids: Ids

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings


def ok(topic: str, text: str) -> Finding:
    """All is well."""
    return Finding(topic, Level.OK, text)


def note(topic: str, text: str, remedy: str | None = None) -> Finding:
    """Good to know."""
    return Finding(topic, Level.NOTE, text, remedy)


def warning(topic: str, text: str, remedy: str | None = None) -> Finding:
    """It works, and should be looked at."""
    return Finding(topic, Level.WARNING, text, remedy)


def wrong(topic: str, text: str, remedy: str | None = None) -> Finding:
    """It does not work."""
    return Finding(topic, Level.WRONG, text, remedy)


def refused(topic: str, error: Exception | str) -> Finding:
    """What a server would refuse with this message. Behind its first semicolon stands what to do."""
    message = str(error)
    if isinstance(error, ApiError):
        reason = error.reason if isinstance(error, StoreUnavailable) else None
        message = f"{error.detail} ({reason})" if reason else error.detail
    text, _, remedy = message.partition("; ")
    return wrong(topic, text, remedy or None)


def size(number: int) -> str:
    """Bytes for people, such as `1.5 MB`."""
    amount, units = float(number), ["bytes", "KB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        del units[0]
    return f"{amount:.0f} {units[0]}" if units[0] == "bytes" or amount >= 10 else f"{amount:.1f} {units[0]}"
