"""What came of reading the settings again: for the log, the service manager, and whoever runs `config reload`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import structlog

from server.core.errors import ConfigurationError, StoreRefused, StoreUnavailable, WatchwordError

_log = structlog.get_logger("watchword")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names of settings, never values. With `problems` nothing has changed."""

    changed: Sequence[str] = ()
    needs_restart: Sequence[str] = ()
    problems: Sequence[str] = ()

    def log(self) -> None:
        """Write the one line about it."""
        if self.problems:
            _log.error("the settings were not reloaded, the old ones stay", reason="; ".join(self.problems))
        elif self.changed or self.needs_restart:
            _log.info("the settings were reloaded", changed=self.changed, needs_restart=self.needs_restart)
        else:
            _log.info("the settings were read again: nothing has changed")

    def status(self) -> str:
        """The same in a few words."""
        if self.problems:
            return f"the settings were not reloaded: {self.problems[0]}"
        waiting = f"; a restart is needed for {', '.join(self.needs_restart)}" if self.needs_restart else ""
        return f"the settings were reloaded{waiting}"

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it again. Raises ValueError."""
        read = json.loads(text)
        return cls(*([str(one) for one in read[name]] for name in ("changed", "needs_restart", "problems")))


def problems_of(error: Exception) -> list[str]:
    """Why settings can't be taken, in lines. An unexpected error is logged whole."""
    if isinstance(error, ConfigurationError):
        return list(error.problems)
    if isinstance(error, StoreUnavailable):
        return [f"store: {error.detail}" + (f" ({error.reason})" if error.reason else "")]
    if isinstance(error, StoreRefused):
        return [f"store: {error}"]
    if isinstance(error, WatchwordError):
        return [str(error)]
    _log.error("a reload has failed", exc_info=error)
    return ["a defect of the server; its log has the reason"]
