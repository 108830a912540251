"""Many questions for a user, one query: a hop to the database costs more than the query itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from server.store.records import User

FetchUsers = Callable[[list[str]], Awaitable[dict[str, User]]]


class UserLookups:
    """Gathers the calls of one turn of the event loop. Each caller has a future of its own, so one may be cancelled."""

    def __init__(self, fetch: FetchUsers) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[str, asyncio.Future[User | None]]] = []
        # The loop holds tasks by weak references only.
        self._answering: set[asyncio.Task[None]] = set()

    def get(self, user_id: str) -> asyncio.Future[User | None]:
        """The user, as committed no earlier than this call. Raises StoreUnavailable when awaited."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[User | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting.append((user_id, future))
        return future

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        task = asyncio.ensure_future(self._answer(waiting))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, waiting: list[tuple[str, asyncio.Future[User | None]]]) -> None:
        wanted = list({user_id for user_id, future in waiting if not future.done()})
        if not wanted:
            return
        try:
            found = await self._fetch(wanted)
        except BaseException as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for user_id, future in waiting:
            if not future.done():
                future.set_result(found.get(user_id))
