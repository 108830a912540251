"""The site of a worker: like `web.SockSite`, but it hands connections over to workers that have fewer (balance.py)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import structlog
from aiohttp import web

from server.http.balance import Share
from server.http.runner import EdgeRunner

# After an error such as too many open files, as asyncio does it.
_PAUSE_SECONDS = 1.0

_log = structlog.get_logger("watchword.web")


class BalancedSite(web.BaseSite):
    """Accepts connections by itself: the loop's own server would keep whatever comes."""

    def __init__(self, runner: EdgeRunner, listening: socket.socket, share: Share) -> None:
        super().__init__(runner)
        self._edge_runner = runner
        self._listening = listening
        self._share = share
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """As a URL, which aiohttp wants."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{host}:{port}"

    async def start(self) -> None:
        """Begin to accept. The socket listens already."""
        await super().start()
        self._listening.setblocking(False)
        server = self._edge_runner.edge_server
        server.on_connection_lost = lambda: self._share.change(-1)
        server.on_drain = self._share.leave
        self._listen()
        self._loop.add_reader(self._share.inbox, self._take)

    async def stop(self) -> None:
        """Accept no more. May be called twice."""
        if self._listening.fileno() >= 0:
            self._share.leave()
            self._loop.remove_reader(self._listening)
            self._loop.remove_reader(self._share.inbox)
            if self._pause is not None:
                self._pause.cancel()
            self._listening.close()
        await super().stop()

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Another worker was faster, or the client has left.
            return
        except OSError as error:
            _log.error("connections can't be accepted; trying again in a second", reason=error.strerror)
            self._loop.remove_reader(self._listening)
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._listen)
            return
        if not self._share.hand_over(connection):
            self._keep(connection)

    def _take(self) -> None:
        connection = self._share.take()
        if connection is not None:
            self._keep(connection)

    def _keep(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._share.change(1)
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._edge_runner.edge_server, connection)
        except OSError:
            # The client has left.
            self._share.change(-1)
            with suppress(OSError):
                connection.close()
