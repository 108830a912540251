"""What a process counts. The methods that are called for every request do little more than an addition."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence

from server.core.errors import ApiError, StoreUnavailable, Unauthorized
from server.core.observer import Outcomes, StoreOperation
from server.http.methods import OTHER
from server.mail.outbox_model import MailResult
from server.metrics.catalogue import LOGIN_RESULTS, METHODS, REFRESH_RESULTS, STATUSES, Catalogue
from server.metrics.families import Counting
from server.metrics.memory import SharedMemory
from server.metrics.process_state import ProcessState
from server.services import Watchers
from server.sessions.errors import TokenRevoked
from watchword_client.errors import TokenExpired, TokenInvalid, TokenMissing

_TOKEN_RESULTS = {TokenMissing: "missing", TokenInvalid: "invalid", TokenExpired: "expired", TokenRevoked: "revoked"}


class SharedMetrics:
    """The metrics of a server, made before its workers. Each worker then has a part of them (`of_worker`)."""

    def __init__(self, routes: Iterable[tuple[str, str]], workers: int) -> None:
        self.catalogue = Catalogue(routes)
        # The last row is that of the parent of the workers.
        self.rows = SharedMemory(workers + 1, self.catalogue.cells).rows
        self.states = [ProcessState(row) for row in self.rows[:workers]]
        self._forked: set[int] = set()

    def of_worker(self, number: int = 0) -> Metrics:
        """What this process counts; it is the only one with that number, or takes the place of one that has ended."""
        return Metrics(self, number)

    def worker_forked(self, number: int, _: int) -> None:
        """Called by the parent of the workers alone. The first worker of each number is no replacement."""
        if number in self._forked:
            restarts = self.catalogue.worker_restarts
            restarts.on(self.catalogue.of(restarts, self.rows[-1])).add()
        self._forked.add(number)

    def worker_died(self, number: int, _: int) -> None:
        """Its counts stay. Its state does not count any more."""
        self.states[number].end()


class Metrics:
    """The metrics of one process. It is also an Observer (server/core/observer.py)."""

    def __init__(self, shared: SharedMetrics, number: int) -> None:
        self.shared = shared
        self.state = shared.states[number]
        self.state.begin(os.getpid(), time.monotonic())
        catalogue, row = shared.catalogue, shared.rows[number]
        self._requests = catalogue.requests.on(catalogue.of(catalogue.requests, row))
        self._hash_wait = catalogue.hash_wait.on(catalogue.of(catalogue.hash_wait, row))
        self._store = catalogue.store.on(catalogue.of(catalogue.store, row))
        self._store_failures = catalogue.store_failures.on(catalogue.of(catalogue.store_failures, row))
        self._token_checks = catalogue.token_checks.on(catalogue.of(catalogue.token_checks, row))
        self._mails = catalogue.mails.on(catalogue.of(catalogue.mails, row))
        self._outcomes = Outcomes(
            login=Ending(catalogue.logins.on(catalogue.of(catalogue.logins, row)), LOGIN_RESULTS),
            refresh=Ending(catalogue.refreshes.on(catalogue.of(catalogue.refreshes, row)), REFRESH_RESULTS),
        )

    def watchers(self) -> Watchers:
        """Everything that is told to this process's metrics."""
        return Watchers(
            observer=self,
            requests=self,
            tokens=self,
            mails=self.mail_tried,
            outcomes=self._outcomes,
            followed=self.followed,
        )

    def request_answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """`route` is a template of the route table, None if no route matches."""
        try:
            self._requests.observe(seconds, method, route, status)
        except KeyError:
            self._requests.observe(
                seconds, method if method in METHODS else OTHER, OTHER, status if status in STATUSES else OTHER
            )

    def token_checked(self, error: Unauthorized | None, *, remembered: bool) -> None:
        """The check of an access token has ended, well or with this error."""
        result = "valid" if error is None else _TOKEN_RESULTS.get(type(error), "invalid")
        self._token_checks.add(result, "true" if remembered else "false")

    def store_used(self, operation: StoreOperation, started: float, *, failed: bool) -> None:
        """A call of the store has ended."""
        self._store.observe(time.monotonic() - started, operation)
        if failed:
            self._store_failures.add(operation)

    def hashed(self, submitted: float, began: float) -> None:
        """A hash has ended."""
        self._hash_wait.observe(began - submitted)

    def mail_tried(self, result: MailResult) -> None:
        """An attempt to send a mail has ended."""
        self._mails.add(result.value)

    async def followed(self) -> None:
        """Revocations and keys were read. background.py awaits what it calls after a change."""
        self.state.followed(time.monotonic())


class Ending:
    """Counts how each of the blocks that it is around ends, by the code of the answer."""

    def __init__(self, counting: Counting, results: Sequence[str]) -> None:
        self._counting = counting
        self._results = results

    def __enter__(self) -> None:
        """Nothing is to be done."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._counting.add(_result(error, self._results))


def _result(error: BaseException | None, known: Sequence[str]) -> str:
    """The value of `result`: the code of the answer. A code that is not expected there is a defect."""
    if error is None:
        return "ok"
    if isinstance(error, asyncio.CancelledError):
        return "client_left"
    if isinstance(error, StoreUnavailable):
        # Whatever the reason, such as a move to another store.
        return "store_unavailable"
    return error.code if isinstance(error, ApiError) and error.code in known else "internal_error"
