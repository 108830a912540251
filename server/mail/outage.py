"""A mail server that can't be reached: this process asks it now and then, instead of trying each mail that waits."""

from __future__ import annotations

import structlog

from server.core.clock import Clock

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0
# How often a long outage is told again.
_TELL_SECONDS = 600.0

_log = structlog.get_logger("watchword.mail")


class Outage:
    """Whether there is one, and when the server is asked again. Times are of the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._pause = 0.0
        self._until = 0.0
        self._told = 0.0

    @property
    def is_on(self) -> bool:
        """Whether the last attempt to reach the server has failed."""
        return self._since is not None

    def pauses(self) -> bool:
        """Whether to wait longer before the server is asked again."""
        return self._since is not None and self._clock.monotonic() < self._until

    def failed(self, reason: str) -> None:
        """The server could not be reached. Connections that fail together count once."""
        now = self._clock.monotonic()
        if self.pauses():
            return
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS) or _FIRST_PAUSE_SECONDS
        self._until = now + self._pause
        if self._since is None:
            self._since = self._told = now
            _log.warning("mail server can't be reached; mails wait", reason=reason)
        elif now - self._told >= _TELL_SECONDS:
            self._told = now
            _log.warning("mail server can still not be reached; mails wait", reason=reason, minutes=self._minutes(now))

    def over(self) -> None:
        """The server was reached."""
        if self._since is not None:
            _log.info("mail server can be reached again", minutes=self._minutes(self._clock.monotonic()))
            self.forget()

    def forget(self) -> None:
        """Ask again at once: perhaps it is another server now."""
        self._since, self._pause = None, 0.0

    def _minutes(self, now: float) -> int:
        return 0 if self._since is None else round((now - self._since) / 60)
