"""A fetch that fails leaves what was there in use, and nothing else happens."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from typing import Any

import pytest
from aiohttp import web

from server.keys.key_material import public_jwk
from tests.clock import START_MS
from tests.forging import CLAIMS, SECRET, base64url, claims_with, forge, header_of, signing_key
from tests.publisher import JWKS_PATH, Publisher
from tests.watchword_client.logs import logged, told
from watchword_client.errors import KeysUnavailable
from watchword_client.remote import MAXIMUM_BYTES, RemoteKeySet

OLD = signing_key("ES256")
NEW = signing_key("EdDSA")
NEW_JWK: dict[str, Any] = dict(public_jwk(NEW.material, "EdDSA"))
# What would be taken, were it not for what is wrong with the answer.
NEW_SET = json.dumps({"keys": [NEW_JWK]}).encode()


async def assert_left_as_it_was(publisher: Publisher, keys: RemoteKeySet) -> str:
    """A fetch now fails and changes nothing; the next one that is good is taken. The reason of the failure."""
    verifier = publisher.verifier(keys)
    before = publisher.fetches
    publisher.clock.advance(1000)
    with logged() as lines:
        assert await keys.reload()
    assert [line.levelname for line in lines] == ["WARNING"]
    assert lines[0].getMessage().startswith("the JWK Set was not renewed: ")
    assert keys.verification_key(NEW.kid, START_MS) is None
    token = forge(OLD, header_of(OLD), claims_with(exp=CLAIMS.expires_at + 10_000))
    assert (await verifier.verify(token)).subject == CLAIMS.subject
    assert not keys.is_current()
    assert publisher.fetches <= before + 1
    assert publisher.strayed == 0
    reason = told(lines[0], "reason")
    assert len(reason) < 300
    return reason


async def assert_recovers(publisher: Publisher, keys: RemoteKeySet) -> None:
    publisher.status, publisher.headers, publisher.handler, publisher.body = 200, {}, None, NEW_SET
    publisher.gate.set()
    publisher.clock.advance(5)
    assert await keys.reload()
    assert keys.is_current()
    assert keys.verification_key(NEW.kid, START_MS) is not None


async def with_keys(publisher: Publisher, **options: Any) -> RemoteKeySet:
    keys = publisher.remote(**options)
    await keys.keep_current()
    return keys


@pytest.mark.parametrize("status", [201, 203, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 502, 503])
async def test_an_answer_with_another_status(publisher: Publisher, status: int) -> None:
    keys = await with_keys(publisher)
    publisher.status, publisher.body = status, b"" if status in {204, 304} else NEW_SET
    assert await assert_left_as_it_was(publisher, keys) == f"the answer was {status}"
    await assert_recovers(publisher, keys)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"{}", b"<html>", b"\xff\xfe", b"\xef\xbb\xbf" + NEW_SET, NEW_SET[:-1], 2 * NEW_SET,
        b'{"keys":[]}', b'{"keys":null}', b'{"keys":[{}]}', b'{"keys":[],"keys":[]}', b"[" * 200_000,
        b'{"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}]}',
    ],
    ids=lambda body: body[:20],
)  # fmt: skip
async def test_what_is_no_set_of_keys(publisher: Publisher, body: bytes) -> None:
    keys = await with_keys(publisher)
    publisher.body = body
    await assert_left_as_it_was(publisher, keys)
    await assert_recovers(publisher, keys)


@pytest.mark.parametrize(
    "jwk",
    [
        NEW_JWK | {"use": "enc"},
        NEW_JWK | {"key_ops": ["sign"]},
        NEW_JWK | {"d": base64url(bytes(32))},
        NEW_JWK | {"x": "AA"},
        NEW_JWK | {"kid": ""},
        {"kty": "oct", "k": base64url(SECRET)},
        {"kty": "RSA", "n": base64url(b"\xff" * 128), "e": "AQAB"},
    ],
    ids=["use", "key_ops", "private", "length", "kid", "shared", "weak"],
)
async def test_a_key_that_is_not_fit_among_good_ones(publisher: Publisher, jwk: dict[str, Any]) -> None:
    keys = await with_keys(publisher)
    publisher.publish_jwks(dict(public_jwk(signing_key("RS256").material, "RS256")), jwk)
    reason = await assert_left_as_it_was(publisher, keys)
    assert not any(jwk.get(name, "?") in reason for name in ("k", "n") if name in jwk)
    await assert_recovers(publisher, keys)


async def test_an_answer_that_is_too_long(publisher: Publisher) -> None:
    keys = await with_keys(publisher)
    publisher.body = NEW_SET.ljust(MAXIMUM_BYTES + 1)
    assert "longer than" in await assert_left_as_it_was(publisher, keys)
    publisher.body = publisher.body[:-1]
    publisher.clock.advance(5)
    await keys.reload()
    assert keys.verification_key(NEW.kid, START_MS) is not None


async def test_an_answer_without_end(publisher: Publisher) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b" " * 65_536)
                sent += 65_536
        return response

    keys = await with_keys(publisher)
    publisher.handler = endless
    assert "longer than" in await assert_left_as_it_was(publisher, keys)
    # What is beyond went no further than the buffers between the two.
    assert sent < 100 * MAXIMUM_BYTES
    await assert_recovers(publisher, keys)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity", "x", ""])
async def test_a_compressed_answer_whether_it_is_or_only_says_so(publisher: Publisher, coding: str) -> None:
    async def compressed(_: web.Request) -> web.StreamResponse:
        body = gzip.compress(b" " * 50_000_000) if coding == "gzip" else NEW_SET
        return web.Response(body=body, headers={"Content-Encoding": coding})

    keys = await with_keys(publisher)
    publisher.handler = compressed
    await assert_left_as_it_was(publisher, keys)
    await assert_recovers(publisher, keys)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "/elsewhere", "http://{host}/elsewhere", JWKS_PATH, "data:,x"]
)
async def test_a_redirect_is_not_followed(publisher: Publisher, status: int, target: str) -> None:
    keys = await with_keys(publisher)
    publisher.status, publisher.body = status, NEW_SET
    publisher.headers = {"Location": target.format(host=publisher.url.split("/")[2])}
    assert await assert_left_as_it_was(publisher, keys) == f"the answer was {status}"
    await assert_recovers(publisher, keys)


async def test_an_answer_that_does_not_come(publisher: Publisher) -> None:
    keys = await with_keys(publisher, timeout_seconds=0.05)
    publisher.gate.clear()
    assert "imeout" in await assert_left_as_it_was(publisher, keys)
    await assert_recovers(publisher, keys)


async def test_an_answer_that_stops_in_the_middle(publisher: Publisher) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(NEW_SET))})
        await response.prepare(request)
        await response.write(NEW_SET[:-5])
        assert request.transport is not None
        request.transport.close()
        return response

    keys = await with_keys(publisher)
    publisher.handler = half
    await assert_left_as_it_was(publisher, keys)
    await assert_recovers(publisher, keys)


async def test_an_answer_that_trickles(publisher: Publisher) -> None:
    left = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(NEW_SET[:1])
        await left.wait()
        return response

    keys = await with_keys(publisher, timeout_seconds=0.05)
    publisher.handler = slowly
    assert "imeout" in await assert_left_as_it_was(publisher, keys)
    left.set()
    await assert_recovers(publisher, keys)


async def test_a_server_that_is_gone(publisher: Publisher) -> None:
    keys = await with_keys(publisher)
    await publisher.server.close()
    assert "onnect" in await assert_left_as_it_was(publisher, keys)
    fresh = publisher.remote()
    with pytest.raises(KeysUnavailable):
        await fresh.keep_current()


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\0" * 100, b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n\xff", b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=lambda answer: answer[-20:],
)  # fmt: skip
async def test_what_is_not_http_or_no_set_is_told_as_no_keys(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    keys = RemoteKeySet(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    with logged() as lines, pytest.raises(KeysUnavailable):
        await keys.keep_current()
    assert [line.levelname for line in lines] == ["WARNING"]
    assert len(told(lines[0], "reason")) < 300
    await keys.close()
    server.close()
    await server.wait_closed()
