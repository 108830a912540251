"""Clients that do not behave: errors of each kind, and connections that end in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import json

from tests.faults.soak.calls import Calls
from tests.running import PASSWORD

_SECONDS = 30
_LOGIN = json.dumps({"username": "admin", "password": PASSWORD}).encode()
_HEAD = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(_LOGIN)


class OddClients:
    """Each method is one of them."""

    def __init__(self, call: Calls) -> None:
        self._call = call
        host, port = call.address.removeprefix("http://").split(":")
        self._place = (host, int(port))

    async def errors(self) -> None:
        """Every refusal that the edge knows."""
        call = self._call
        as_json = {"Content-Type": "application/json"}
        await call("POST /login", 400, data=b"{", headers=as_json)
        await call("POST /login", 422, body={"username": 1})
        await call(
            "POST /login", 415, data=b"username=x", headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        await call("POST /login", 413, data=b"x" * 70_000, headers=as_json)
        await call("GET /nowhere", 404)
        await call("PUT /login", 405)
        await call("GET /me", 401)
        await call("GET /me", 401, token="eyJhbGciOiJub25lIn0.e30.")
        await call("POST /refresh", 401, body={"refresh_token": "wwr_" + "A" * 75})
        await call("POST /password/reset", 400, body={"reset_token": "wwp_x", "new_password": PASSWORD})
        await call("OPTIONS /login", (204, 405), headers={"Origin": "https://a.example"})
        await self._raw(b"nonsense\r\n\r\n", read=True)
        await self._raw(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", read=True)

    async def leavers(self) -> None:
        """They leave before the head is over, in the middle of a body, and before the answer."""
        await self._raw(b"")
        await self._raw(b"GET /me HTTP/1.1\r\nHo")
        await self._raw(_HEAD + b"\r\n" + _LOGIN[:10])
        await self._raw(_HEAD + b"\r\n" + _LOGIN)
        await self._raw((b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n") * 5)
        # The body does not come to its end: 408.
        await self._raw(_HEAD + b"\r\n" + _LOGIN[:10], read=True)

    async def _raw(self, data: bytes, *, read: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(*self._place)
            try:
                writer.write(data)
                async with asyncio.timeout(_SECONDS):
                    if read:
                        assert await reader.read()
                    else:
                        await writer.drain()
            finally:
                # Without the rest of what may have been sent: the other side sees a reset.
                writer.transport.abort()
