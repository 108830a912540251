"""Whether PostgreSQL answers. While it is known not to, calls fail at once, so requests do not pile up.

A call that fails or gets no answer is a suspicion. Then a connection is made on trial, again and again until there is
an answer. Meanwhile the database counts as away, unless other calls are answered: where the name of the host is lost,
or the password is another one, the connections that there are go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg

from server.core.errors import StoreRefused
from server.database.postgres.connect import Connector

# A trial without an answer after this time means that the database is away; of several hosts the others have their own
# time. The trial goes on for longer, since over a slow network it may succeed all the same; and another one begins
# beside it, since packets that were lost do not come back.
SILENT_SECONDS = 1.0
MOST_TRIALS = 5
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 1.0
PAUSE_SECONDS = 0.2
# After an answer a suspicion waits for so long: a lock lets many calls fail, and the database answers all the same.
SURE_SECONDS = 1.0

# The server, or the pooler, has answered by taking no connection. These pass by themselves, all other refusals are
# answers: of a wrong password or no free slot each call shall tell.
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class AwayError(ConnectionError):
    """PostgreSQL is known not to answer. `reason` is what the last trial has shown."""

    # Nothing was sent.
    undone = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Reach:
    """Knows whether the database answers, for one pool."""

    def __init__(self, connect: Connector) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._sure_at = 0.0
        self._trying: asyncio.Task[None] | None = None
        self.is_away = False
        self._why = ""
        # Called when the database is known to be away, and when a trial has shown that it answers.
        self.on_away: list[Callable[[], None]] = []
        self.on_answer: list[Callable[[], None]] = []

    def require(self) -> None:
        """Raise AwayError while the database is away."""
        if self.is_away:
            raise AwayError(self._why)

    def heard(self) -> None:
        """Note that there was an answer."""
        self._heard_at = self._loop.time()
        self.is_away = False

    def suspect(self) -> None:
        """Find out, in the background, whether the database is away."""
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try_until_answered())

    def failed(self, error: BaseException) -> None:
        """Note how a call has failed: by an answer, or in a way that leaves it open whether there are any."""
        if isinstance(error, (asyncio.CancelledError, *_AWAY)):
            self.suspect()
        elif isinstance(error, asyncpg.PostgresError):
            self.heard()

    async def close(self) -> None:
        """Try no longer."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])

    async def _try_until_answered(self) -> None:
        suspected_at = self._loop.time()
        await asyncio.sleep(max(0.0, self._sure_at + SURE_SECONDS - suspected_at))
        if self._heard_at > suspected_at:
            return
        is_answered = await self._answered_or_heard()
        self._sure_at = self._loop.time()
        self.is_away = False
        if is_answered:
            for tell in self.on_answer:
                tell()

    async def _answered_or_heard(self) -> bool:
        """Return when a trial is answered; False when another call was, which outweighs trials that are not."""
        silent_seconds = SILENT_SECONDS + self._connect.seconds_for_others(CONNECT_SECONDS)
        trials: set[asyncio.Task[bool]] = set()
        try:
            while True:
                begun = self._loop.time()
                if len(trials) < MOST_TRIALS:
                    trials.add(asyncio.create_task(self._is_answered()))
                ended, trials = await asyncio.wait(trials, timeout=silent_seconds, return_when=asyncio.FIRST_COMPLETED)
                if any(trial.result() for trial in ended):
                    return True
                if self._heard_at >= begun:
                    return False
                self._set_away()
                if ended:
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            for trial in trials:
                trial.cancel()

    def _set_away(self) -> None:
        if not self.is_away:
            self.is_away = True
            for tell in self.on_away:
                tell()

    async def _is_answered(self) -> bool:
        self._why = "PostgreSQL does not answer"
        try:
            async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
                connection = await self._connect(within_seconds=CONNECT_SECONDS)
                try:
                    await connection.run_alone("SELECT 1")
                finally:
                    connection.terminate()
        except _AWAY as error:
            self._why = getattr(error, "message", None) or str(error) or self._why
            return False
        except (StoreRefused, asyncpg.PostgresError):
            return True
        return True
