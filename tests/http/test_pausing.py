from __future__ import annotations

import asyncio
import json

import pytest

from server.http.connection import READ_BUFFER_BYTES
from server.http.gathering import GatheringTransport
from tests.running import PASSWORD, Api

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
DEADLINE_SECONDS = 20


def login(spaces: int) -> bytes:
    body = json.dumps({"username": "lak", "password": PASSWORD}).replace(", ", "," + " " * spaces).encode()
    head = f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the socket."""
    found: list[str] = []
    pause, resume = GatheringTransport.pause_reading, GatheringTransport.resume_reading

    def noted_pause(transport: GatheringTransport) -> None:
        found.append("pause")
        pause(transport)

    def noted_resume(transport: GatheringTransport) -> None:
        found.append("resume")
        resume(transport)

    monkeypatch.setattr(GatheringTransport, "pause_reading", noted_pause)
    monkeypatch.setattr(GatheringTransport, "resume_reading", noted_resume)
    return found


async def statuses_after(api: Api, *pieces: bytes) -> list[int]:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            answers = await reader.read()
    finally:
        writer.transport.abort()
    return [int(part[2:5]) for part in answers.split(b"HTTP/1.")[1:]]


@on_sqlite
async def test_short_bodies_leave_the_socket_alone(api: Api, calls: list[str]) -> None:
    assert await statuses_after(api, login(1) + login(1), login(1), LAST) == [200, 200, 200, 200]
    assert calls == []


@on_sqlite
async def test_what_follows_a_long_body_is_answered(api: Api, calls: list[str]) -> None:
    long = login(3 * READ_BUFFER_BYTES)
    assert await statuses_after(api, login(1) + long + login(1) + long + LAST) == [200, 200, 200, 200, 200]
    assert "pause" in calls
    assert "resume" in calls
    pieces = [long[start : start + 5_000] for start in range(0, len(long), 5_000)]
    assert await statuses_after(api, *pieces, *pieces, login(1) + LAST) == [200, 200, 200, 200]
