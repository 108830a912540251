"""The floor of the benchmark: what any aiohttp application pays for one global middleware and the answers of Watchword.

Its middleware does nothing and its handlers give out fixed bytes, with as many header fields and of the same length.
"""

from __future__ import annotations

import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from tests.bench.bare import serve

ID = "01a2176b-676d-7ca7-9ebc-efe9a10cde9b"
COMMON = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "Watchword"}
REQUEST_ID = {"X-Request-Id": "bb4d726f66134eb167-1000"}
SUBJECT = {"X-Auth-Subject": ID, "X-Auth-Username": "admin", "X-Auth-Role": "admin"}
VERIFIED = CIMultiDict({**COMMON, **SUBJECT, **REQUEST_ID})
USER = CIMultiDict({"Content-Type": "application/json", **COMMON, **REQUEST_ID})
BODY = (
    f'{{"user":{{"id":"{ID}","username":"admin","name":"Administrator","role":"admin","disabled":false,'
    '"created_at":"2026-11-26T10:34:04.525Z","updated_at":"2026-11-26T10:34:04.525Z",'
    '"last_login_at":"2026-11-26T10:34:04.582Z"}}'
).encode()


@web.middleware
async def nothing(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await handler(request)


async def verify(_: web.Request) -> web.Response:
    return web.Response(status=204, headers=VERIFIED)


async def user(_: web.Request) -> web.Response:
    return web.Response(body=BODY, headers=USER)


def floor() -> web.Application:
    app = web.Application(middlewares=[nothing])
    app.router.add_get("/verify", verify)
    app.router.add_get("/users/{user_id}", user)
    return app


if __name__ == "__main__":
    uvloop.run(serve(floor()))
