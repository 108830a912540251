"""How uvicorn serves an application in production: uvloop, httptools, no access log. The first line is the address."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

# The connections of the measurement wait while other servers are measured.
KEEP_ALIVE_SECONDS = 600


class _Telling(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for one in sockets or ():
            print("http://{}:{}".format(*one.getsockname()), flush=True)


def serve(app: FastAPI) -> None:
    """Until SIGTERM."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    _Telling(config).run([socket.create_server(("127.0.0.1", 0))])
