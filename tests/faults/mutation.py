"""Requests that are good, and then spoilt at random: request line, headers, body, framing, tokens, values of JSON.

The good ones are made of the OpenAPI document, so a new route is among them. Each exchange has random numbers of its
own, by the seed and its number: it can be made again without those before it.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.faults.spoiling import Spoiler

_SAFE = re.compile(rb"[!-~]+")
_METHODS = (
    b"GET",
    b"POST",
    b"PATCH",
    b"DELETE",
    b"PUT",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"BREW",
    b"get",
    b"",
)
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.", b"HTTP/11", b"http/1.1", b"", b"HTTP/1.1 ")
_MEDIA_TYPES = (
    b"application/json",
    b"application/json; charset=utf-8",
    b'application/json;charset="utf8"',
    b"application/json;charset=utf-16",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"application/json, text/html",
    b"application/problem+json",
    b"*/*",
    b"",
    b"application/json;;",
    b"APPLICATION/JSON",
    b"image/png",
)
_HEADERS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"Content-Encoding", (b"gzip", b"deflate", b"br", b"zstd", b"identity", b"gzip, gzip", b"")),
    (b"Transfer-Encoding", (b"chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked")),
    (b"Content-Length", (b"0", b"1", b"-1", b"+2", b"5, 5", b"9" * 30, b"1e3", b"0x10")),
    (b"Expect", (b"100-continue", b"100-Continue", b"200-ok", b"\xff")),
    (b"Connection", (b"keep-alive", b"upgrade", b"close, x", b"Authorization")),
    (b"Upgrade", (b"websocket", b"h2c", b"HTTP/2.0")),
    (b"Origin", (b"https://app.example.com", b"https://evil.example", b"null", b"http://127.0.0.1:9")),
    (b"Access-Control-Request-Method", (b"PATCH", b"GET", b"\xff")),
    (b"Access-Control-Request-Headers", (b"authorization", b"x, y", b"\xff")),
    (b"Accept-Language", (b"de", b"en;q=0.5, de;q=x", b"*" * 3000, b"de;" * 900, b"\xff")),
    (b"Accept", (b"text/html", b"application/json;q=0", b"*/*")),
    (b"Accept-Encoding", (b"gzip", b"br;q=1.0, gzip;q=0", b"identity;q=0", b"*")),
    (b"If-None-Match", (b"*", b'"x"', b'W/"x", "y"', b"x", b'"')),
    (b"Range", (b"bytes=0-1", b"bytes=-9,0-", b"x")),
    (b"X-Forwarded-For", (b"192.0.2.1", b"2001:db8::1, x", b"999.1.1.1", b"," * 100, b"\xff", b"127.0.0.1:99")),
    (b"Forwarded", (b"for=192.0.2.1", b'for="[2001:db8::1]:80";proto=https', b'for="', b"for=_x;for=_y", b"\xff")),
    (b"X-Forwarded-Proto", (b"https", b"x")),
    (b"X-Request-Id", (b"1", b"\xff", b"x" * 5000)),
    (b"User-Agent", (b"curl/8", b"\xff\xfe", b"x" * 5000, "ß".encode())),
    (b"Cookie", (b"a=b", b";;;", b"=", b'__Host-watchword="x', b"a=" + b"x" * 5000, b"\xff")),
    (b"Host", (b"evil.example", b"", b"[::1", b"127.0.0.1:x", b"a b")),
    (b"Sec-Fetch-Site", (b"cross-site", b"same-origin", b"x")),
    (b"traceparent", (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"00-x", b"\xff")),
)


@dataclass
class Request:
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    version: bytes = b"HTTP/1.1"
    separator: bytes = b" "
    line_end: bytes = b"\r\n"
    chunked: bool = False

    def encode(self, spoiler: Spoiler) -> bytes:
        lines = [self.separator.join([self.method, self.target, self.version])]
        lines += [name + b": " + value for name, value in self.headers]
        body = spoiler.chunks(self.body) if self.chunked else self.body
        return self.line_end.join([*lines, b"", body])


@dataclass
class Known:
    """What the requests may name: all is there when they are sent, and may be gone when they are over."""

    tokens: list[str]
    # The good values of path parameters and of members of a body, by their names.
    values: dict[str, list[str]]


@dataclass
class Exchange:
    """What is sent on one connection."""

    number: int
    requests: list[Request] = field(default_factory=list)
    data: bytes = b""
    # Whether the client says that nothing will follow.
    ends: bool = False
    truncated: bool = False
    # Where the client pauses for a moment, so that the server gets the bytes in pieces.
    pauses: list[int] = field(default_factory=list)

    @property
    def pieces(self) -> list[bytes]:
        places = [0, *self.pauses, len(self.data)]
        return [self.data[start:end] for start, end in pairwise(places)]


class Mutator:
    """Makes exchanges for a server with this OpenAPI document."""

    def __init__(self, seed: int, document: dict[str, Any], known: Known) -> None:
        self._seed = seed
        self.known = known
        self._operations = [
            (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        self.random = random.Random()
        self._spoiler = Spoiler(self.random)

    def exchange(self, number: int) -> Exchange:
        self.random.seed(f"{self._seed} {number}")
        exchange = Exchange(number)
        for _ in range(self.random.choice((1, 1, 1, 1, 1, 2, 3, 5))):
            exchange.requests.append(self._request())
        exchange.requests[-1].headers.append((b"Connection", b"close"))
        self._spoiler.has_broken_chunks = False
        exchange.data = b"".join(request.encode(self._spoiler) for request in exchange.requests)
        if self.random.random() < 0.04:
            exchange.data = exchange.data[: self.random.randrange(len(exchange.data))]
            exchange.ends = exchange.truncated = True
        elif self.random.random() < 0.02:
            # Bytes anywhere, so that even the ends of heads and the sizes of chunks are hit.
            exchange.data = self._spoiler.spoil(exchange.data)
            exchange.ends = exchange.truncated = True
        elif self.random.random() < 0.1:
            exchange.ends = True
        # The parser in Python takes a bare CR for a part of the line, and waits for the end of the head. So does any
        # parser for the end of chunks.
        exchange.ends |= self._spoiler.has_broken_chunks or any(
            request.line_end != b"\r\n" for request in exchange.requests
        )
        if self.random.random() < 0.15:
            exchange.pauses = sorted(
                self.random.choices(range(len(exchange.data) + 1), k=self.random.choice((1, 2, 6)))
            )
        return exchange

    def _request(self) -> Request:
        request = self._good()
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            self.random.choice(
                (self._line, self._target, self._header, self._new_header, self._content, self._content, self._token)
            )(request)
        self._frame(request)
        return request

    def _good(self) -> Request:
        method, path, operation = self.random.choice(self._operations)
        target = re.sub(r"{(\w+)}", lambda found: self.random.choice(self.known.values[found[1]]), path)
        pairs = [
            f"{parameter['name']}={self._value(parameter['name'], parameter.get('example', 'x'))}"
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query" and (parameter["required"] or self.random.random() < 0.4)
        ]
        if pairs:
            target += "?" + "&".join(pairs)
        headers = [(b"Host", b"127.0.0.1")]
        if self.random.random() < 0.8 and method + path != "POST/logout":
            headers.append((b"Authorization", b"Bearer " + self.random.choice(self.known.tokens).encode()))
        body = b""
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]["example"]
            value = {name: self._value(name, part) for name, part in content.items()}
            if self.random.random() < 0.3:
                value = self._spoiler.json_value(value)
            body = json.dumps(value, ensure_ascii=self.random.random() < 0.7).encode("utf-8", "surrogatepass")
            headers.append((b"Content-Type", b"application/json"))
        return Request(method.encode(), target.encode(), headers, body)

    def _value(self, name: str, example: Any) -> Any:
        return self.random.choice(self.known.values[name]) if name in self.known.values else example

    def _line(self, request: Request) -> None:
        kind = self.random.randrange(6)
        if kind == 0:
            request.version = self.random.choice(_VERSIONS)
        elif kind == 1:
            request.separator = self.random.choice((b"  ", b"\t", b"", b" \x0b"))
        elif kind == 2:
            request.line_end = self.random.choice((b"\n", b"\r\r\n", b"\r"))
        elif kind == 3:
            request.target = (
                self.random.choice((b"http://127.0.0.1", b"https://evil.example", b"*", b"//")) + request.target
            )
        else:
            request.method = self.random.choice(_METHODS)

    def _target(self, request: Request) -> None:
        request.target = b"/" + self._spoiler.spoil(request.target[1:])

    def _header(self, request: Request) -> None:
        place = self.random.randrange(len(request.headers))
        name, value = request.headers[place]
        changed = (
            (self._spoiler.spoil(name), value) if self.random.random() < 0.2 else (name, self._spoiler.spoil(value))
        )
        request.headers[place] = changed
        if self.random.random() < 0.2:
            request.headers.append(changed)

    def _new_header(self, request: Request) -> None:
        name, values = self.random.choice(_HEADERS)
        value = self.random.choice(values)
        if self.random.random() < 0.3:
            name, value = b"Cookie", self._value("cookie", "x").encode()
            if self.random.random() < 0.3:
                value += b"; " + self._value("cookie", "x").encode()
        if self.random.random() < 0.2:
            value = self._spoiler.spoil(value)
        request.headers.append((name, value))

    def _content(self, request: Request) -> None:
        kind = self.random.randrange(5)
        if kind == 0:
            request.headers = [pair for pair in request.headers if pair[0] != b"Content-Type"]
            request.headers.append((b"Content-Type", self.random.choice(_MEDIA_TYPES)))
        elif kind == 1:
            encoding, request.body = self._spoiler.compressed(request.body)
            request.headers.append((b"Content-Encoding", encoding))
        elif kind == 2:
            request.body = self._spoiler.document(request.body)
        else:
            request.body = self._spoiler.spoil(request.body)

    def _token(self, request: Request) -> None:
        kind = self.random.choice(("token", "refresh_token", "reset_token", "invitation_token", "kid"))
        token = self._value(kind, self.known.tokens[0]) if self.random.random() < 0.3 else self.known.tokens[0]
        scheme = self.random.choice((b"Bearer ", b"Bearer ", b"Bearer ", b"bearer ", b"Basic ", b"Bearer  ", b""))
        request.headers = [pair for pair in request.headers if pair[0] != b"Authorization"]
        request.headers.append((b"Authorization", scheme + self._spoiler.spoil(token.encode())))

    def _frame(self, request: Request) -> None:
        """Say where the body ends, most of the time rightly."""
        if not request.body:
            return
        kind = self.random.random()
        if kind < 0.15:
            request.chunked = True
            request.headers.append((b"Transfer-Encoding", b"chunked"))
        elif kind < 0.98:
            request.headers.append((b"Content-Length", b"%d" % len(request.body)))
