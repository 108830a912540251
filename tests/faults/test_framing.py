"""Requests whose end two programs could see in two places (CWE-444): refused, or read in one way, by either parser.

Behind each comes a request that must not be read as another one, or twice.
"""

from __future__ import annotations

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.attacked import PARSERS, Attacked, attacked, in_full
from tests.faults.attackers import LIVE, Statuses, connect

BODY = b'{"username":"a","password":"b"}'
POST = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
END = b"0\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"%d" % len(BODY)

# Refused, and the connection is closed, since nobody knows where the next request begins.
REFUSED = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + END,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + CHUNK + END,
    "two equal lengths": POST + b"Content-Length: %b\r\nContent-Length: %b\r\n\r\n" % (LENGTH, LENGTH) + BODY,
    "two lengths": POST + b"Content-Length: %b\r\nContent-Length: 3\r\n\r\n" % LENGTH + BODY,
    "a list of lengths": POST + b"Content-Length: %b, %b\r\n\r\n" % (LENGTH, LENGTH) + BODY,
    "length with a sign": POST + b"Content-Length: +%b\r\n\r\n" % LENGTH + BODY,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "hexadecimal length": POST + b"Content-Length: 0x1f\r\n\r\n" + BODY,
    "length with _": POST + b"Content-Length: 3_1\r\n\r\n" + BODY,
    "no length": POST + b"Content-Length: \r\n\r\n" + BODY,
    "wide digits": POST + "Content-Length: \uff13\uff11\r\n\r\n".encode() + BODY,
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK + END,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK + END,
    "chunked is not the last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK + END,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + CHUNK + END,
    "gzip alone": POST + b"Transfer-Encoding: gzip\r\n\r\n" + CHUNK + END,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK + END,
    "a vertical tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNK + END,
    "quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNK + END,
    "chunks of HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + CHUNK + END,
    "folded header": LIVE.replace(b"Host: x", b"Host: x\r\nA: b\r\n c"),
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNK + END,
    "folded first header": LIVE.replace(b"Host", b" Host"),
    "LF alone": LIVE.replace(b"\r\n", b"\n"),
    "LF behind a header": LIVE.replace(b"Host: x\r\n", b"Host: x\nA: b\r\n"),
    "CR behind a header": LIVE.replace(b"Host: x\r\n", b"Host: x\rA: b\r\n"),
    "CR twice": LIVE.replace(b"x\r\n", b"x\r\r\n"),
    "NUL": LIVE.replace(b"Host: x", b"Host: x\r\nA: b\0c"),
    "no colon": LIVE.replace(b"Host: x", b"Host: x\r\nA"),
    "no name": LIVE.replace(b"Host: x", b"Host: x\r\n: b"),
    "no host": LIVE.replace(b"Host: x\r\n", b""),
    "two hosts": LIVE.replace(b"Host: x", b"Host: x\r\nHost: y"),
    "a line in an extension": CHUNKED + b'1f;a="\r\nGET /x"\r\n' + BODY + b"\r\n" + END,
    "LF behind an extension": CHUNKED + b"1f;a\n" + BODY + b"\r\n" + END,
    "size with 0x": CHUNKED + b"0x1f\r\n" + BODY + b"\r\n" + END,
    "size with a space": CHUNKED + b"1f \r\n" + BODY + b"\r\n" + END,
    "size behind a space": CHUNKED + b" 1f\r\n" + BODY + b"\r\n" + END,
    "size with a sign": CHUNKED + b"+1f\r\n" + BODY + b"\r\n" + END,
    "negative size": CHUNKED + b"-1\r\n" + BODY + b"\r\n" + END,
    "size with _": CHUNKED + b"1_f\r\n" + BODY + b"\r\n" + END,
    "no size": CHUNKED + b"\r\n" + BODY + b"\r\n" + END,
    "LF behind the size": CHUNKED + b"1f\n" + BODY + b"\n0\n\n",
    "no line behind a chunk": CHUNKED + b"1f\r\n" + BODY + END,
    "a chunk that is longer": CHUNKED + b"1e\r\n" + BODY + b"\r\n" + END,
    "trailer without a colon": CHUNKED + CHUNK + b"0\r\nbad trailer\r\n\r\n",
    "no last chunk": CHUNKED + CHUNK,
    "HTTP/0.9": b"GET /health/live\r\n",
    "HTTP/2": LIVE.replace(b"1.1", b"2.0"),
    "no version": LIVE.replace(b"HTTP/1.1", b"HTTP/11"),
    "a tab in the request line": LIVE.replace(b"GET ", b"GET\t"),
}
# Read as it is meant; then comes the next request.
READ = {
    "a tab before the value": POST + b"Transfer-Encoding:\tchunked\r\n\r\n" + CHUNK + END,
    "in capitals": POST + b"Transfer-Encoding: CHUNKED\r\n\r\n" + CHUNK + END,
    "an extension": CHUNKED + b"1f;a=b\r\n" + BODY + b"\r\n" + END,
    "zeros before the size": CHUNKED + b"0" * 14 + b"1f\r\n" + BODY + b"\r\n" + END,
    "trailers": CHUNKED + CHUNK + b"0\r\nX: y\r\n\r\n",
    "a credential in the trailers": b"POST /logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\nAuthorization: Bearer x\r\n\r\n",
    "a request as the body of a GET": LIVE.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(LIVE)) + LIVE,
    "length as an option of the connection": POST + b"Connection: Content-Length\r\nContent-Length: 31\r\n\r\n" + BODY,
    "a WebSocket": LIVE.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
}


def answered(server: Attacked, data: bytes, step: int) -> tuple[Statuses, bool]:
    """The statuses, and whether the server has closed. It is sent so many bytes at a time."""
    received = b""
    with connect(server.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for place in range(0, len(data), step):
                client.sendall(data[place : place + step])
                if step < len(data):
                    # The server shall see the pieces one by one.
                    time.sleep(0.0005)
        is_closed = True
        with contextlib.suppress(ConnectionError):
            while received.count(b"HTTP/1.1 ") < 2:
                part = client.recv(65_536)
                received += part
                if not part:
                    break
            else:
                is_closed = False
    return tuple(int(part[2:5]) for part in received.split(b"HTTP/1.")[1:]), is_closed


@pytest.mark.parametrize("parser", [PARSERS[0], pytest.param(PARSERS[1], marks=in_full)])
@pytest.mark.parametrize("step", [pytest.param(100_000, marks=in_full), 7], ids=["at once", "in pieces"])
def test_a_request_has_one_end(tmp_path: Path, parser: str, step: int) -> None:
    with attacked(tmp_path, parser=parser) as server, ThreadPoolExecutor(20) as threads:
        before = server.warm()
        refused = threads.map(lambda data: answered(server, data + LIVE, step), REFUSED.values())
        assert dict(zip(REFUSED, refused, strict=True)) == dict.fromkeys(REFUSED, ((400,), True))
        read = dict(
            zip(READ, threads.map(lambda data: answered(server, data + LIVE, step), READ.values()), strict=True)
        )
        for what, (statuses, is_closed) in read.items():
            # A body without credentials, or of a user that there is not.
            assert len(statuses) == 2, (what, statuses)
            assert statuses[0] in {200, 400, 401, 503}, (what, statuses)
            assert (statuses[1], is_closed) == (200, False), (what, statuses)
        server.left_nothing(before)
