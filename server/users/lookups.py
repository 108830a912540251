"""Reads the users of many calls with one query, since the way to the database costs more than the query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from server.users.model import User

FetchUsers = Callable[[list[str]], Awaitable[dict[str, User]]]


class UserLookups:
    """Calls during a query wait and share the next one. A single call does not wait.

    Each caller has its own future, so it can be cancelled alone.
    """

    def __init__(self, fetch: FetchUsers) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[str, asyncio.Future[User | None]]] = []
        self._answering: asyncio.Task[None] | None = None
        # Kept, since asyncio.get_running_loop() makes a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()

    def get(self, user_id: str) -> asyncio.Future[User | None]:
        """The user, read after this call began. Raises StoreUnavailable when awaited."""
        future: asyncio.Future[User | None] = self._loop.create_future()
        self._waiting.append((user_id, future))
        if self._answering is None:
            self._answering = self._loop.create_task(self._answer_all())
        return future

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                await self._answer(waiting)
        finally:
            self._answering = None

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
