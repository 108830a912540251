"""The peer of the benchmark: aiohttp with two handlers and nothing else, on uvloop, without an access log."""

from __future__ import annotations

import asyncio
import signal

import uvloop
from aiohttp import web


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def echo(request: web.Request) -> web.Response:
    return web.json_response(await request.json())


def bare() -> web.Application:
    app = web.Application()
    app.router.add_get("/", answer)
    app.router.add_post("/", echo)
    return app


async def serve(app: web.Application) -> None:
    """Until SIGTERM; the first line of the output is the address."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(bare()))
