"""10,000 requests, each mutated at random from a good one: path, method, headers, body, token.

Guards the promise of the contract that whatever bytes arrive, the answer is one of those it names: no 5xx, no traceback,
and every answer is as the OpenAPI document says. The seed makes a run repeatable; a failure prints the request.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from server.config.settings import CorsSettings, LogSettings, ServerSettings
from server.observe.logs import configure_logs
from server.observe.requests import RequestLog
from tests.running import PASSWORD, Api, StartApi
from tests.clock import FakeClock

REQUESTS = 10_000
SEED = 7519
CONNECTIONS = 8

SPICES: tuple[bytes, ...] = (
    b"", b"\x00", b"\r", b"\n", b"\r\n", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"%00", b"%ff", b"%2f", b"..", b"//", b"?",
    b"#", b"&", b"=", b"'", b'"', b";", b",", b":", b"{", b"}", b"[", b"]", b"\\ud800", b"\\u0000", b"null", b"true", b"-1",
    b"1e999", b"NaN", b"9" * 400, b"A" * 9000, "ſ".encode(), "💥".encode(), b"<script>", b"' OR 1=1 --", b"${x}", b" ", b"\t",
)  # fmt: skip
METHODS = (
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


@dataclass
class Request:
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def encode(self) -> bytes:
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        return self.method + b" " + self.target + b" HTTP/1.1\r\n" + lines + b"\r\n" + self.body


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Mutator:
    """Makes requests: a good one, and then a few of its parts spoilt."""

    def __init__(self, seed: int, tokens: list[str], user_id: str) -> None:
        self.random = random.Random(seed)
        self.tokens = tokens
        user = user_id.encode()
        login = json.dumps({"username": "lak", "password": PASSWORD}).encode()
        new_user = json.dumps({"username": "x", "name": "X", "role": "customer"}).encode()
        reset = json.dumps({"reset_token": "wwp_x", "new_password": PASSWORD}).encode()
        self.good: list[tuple[bytes, bytes, bytes]] = [
            (b"POST", b"/login", login),
            (b"GET", b"/me", b""),
            (b"PATCH", b"/me", b'{"name": "Lak"}'),
            (b"GET", b"/users", b""),
            (b"GET", b"/users?limit=2&q=l&role=customer&disabled=false&cursor=AAAA", b""),
            (b"POST", b"/users", new_user),
            (b"GET", b"/users/" + user, b""),
            (b"POST", b"/password/reset", reset),
            (b"GET", b"/routes", b""),
            (b"GET", b"/verify?role=admin", b""),
            (b"GET", b"/.well-known/jwks.json", b""),
            (b"GET", b"/openapi.json", b""),
            (b"GET", b"/docs", b""),
            (b"GET", b"/health/live", b""),
            (b"GET", b"/health/ready", b""),
        ]

    def next(self) -> Request:
        method, target, body = self.random.choice(self.good)
        headers = [(b"Host", b"127.0.0.1")]
        if self.random.random() < 0.8:
            headers.append((b"Authorization", b"Bearer " + self.random.choice(self.tokens).encode()))
        if body:
            headers.append((b"Content-Type", b"application/json"))
        if self.random.random() < 0.1:
            headers.append(
                (b"Origin", self.random.choice([b"https://app.example.com", b"https://evil.example", b"null"]))
            )
            headers.append((b"Access-Control-Request-Method", b"PATCH"))
        request = Request(method, target, headers, body)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            self.random.choice((self.method, self.target, self.header, self.new_header, self.content, self.token))(
                request
            )
        self.frame(request)
        return request

    def method(self, request: Request) -> None:
        request.method = self.random.choice(METHODS)

    def target(self, request: Request) -> None:
        request.target = b"/" + self.spoil(request.target[1:])

    def header(self, request: Request) -> None:
        place = self.random.randrange(len(request.headers))
        name, value = request.headers[place]
        request.headers[place] = (name, self.spoil(value))
        if self.random.random() < 0.2:
            request.headers.append(request.headers[place])

    def new_header(self, request: Request) -> None:
        name = self.random.choice(
            (b"Content-Type", b"Content-Encoding", b"Expect", b"Cookie", b"X-Forwarded-For", b"Forwarded", b"Accept",
             b"User-Agent", b"Range", b"If-None-Match", b"Transfer-Encoding", b"Content-Length", b"X-Request-Id", b"Upgrade",
             self.spoil(b"X-Any"))
        )  # fmt: skip
        request.headers.append(
            (name, self.spoil(self.random.choice((b"", b"gzip", b"100-continue", b"text/plain", b"1"))))
        )

    def content(self, request: Request) -> None:
        request.body = self.spoil(request.body)

    def token(self, request: Request) -> None:
        token = self.spoil(self.random.choice(self.tokens).encode())
        request.headers = [pair for pair in request.headers if pair[0] != b"Authorization"]
        request.headers.append((b"Authorization", b"Bearer " + token))

    def spoil(self, text: bytes) -> bytes:
        """Cut, double, replace or season a part."""
        start = self.random.randint(0, len(text))
        end = self.random.randint(start, min(len(text), start + 8))
        kind = self.random.randrange(5)
        if kind == 0:
            return text[:start] + text[end:]
        if kind == 1:
            return text[:end] + text[start:]
        if kind == 2:
            return text[:start] + bytes(self.random.randrange(256) for _ in range(end - start)) + text[end:]
        return text[:start] + self.random.choice(SPICES) + text[end:]

    def frame(self, request: Request) -> None:
        """Say where the body ends, most of the time rightly; the connection closes behind it."""
        if request.body and self.random.random() < 0.97:
            request.headers.append((b"Content-Length", b"%d" % len(request.body)))
        request.headers.append((b"Connection", b"close"))


async def send(api: Api, request: Request) -> Answer | None:
    """One request on a connection of its own; None if the server closed without a word."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    try:
        writer.write(request.encode())
        writer.write_eof()
        raw = await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return None
    finally:
        writer.close()
    return parse(raw, request) if raw else None


def parse(raw: bytes, request: Request) -> Answer:
    while raw.startswith(b"HTTP/1.1 100"):
        raw = raw.partition(b"\r\n\r\n")[2]
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert re.fullmatch(r"HTTP/1\.[01] \d{3} .*", lines[0]), (request, raw)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body)


class Judge:
    """Holds answers against the OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.validators: dict[str, Draft202012Validator] = {}
        self.paths = [
            (re.compile(re.sub(r"{\w+}", "[^/]+", path.replace(".", r"\."))), methods)
            for path, methods in document["paths"].items()
        ]

    def check(self, request: Request, answer: Answer) -> None:
        assert answer.status < 500, (request, answer)
        assert answer.headers["x-request-id"], (request, answer)
        assert b"Traceback" not in answer.body
        operation = self.operation(request)
        described = operation.get("responses", {}).get(str(answer.status)) if operation else None
        content_type = answer.headers.get("content-type", "").partition(";")[0]
        if described is None:
            # No operation: the path or the method does not exist, or the bytes did not get as far as routing.
            self.check_without_operation(request, answer, operation)
            return
        for name, header in described.get("headers", {}).items():
            assert name.lower() in answer.headers or not header.get("required"), (name, request, answer)
        if "content" not in described:
            assert answer.body == b"", (request, answer)
        elif request.method == b"HEAD":
            assert answer.body == b"", (request, answer)
        else:
            assert content_type in described["content"], (request, answer)
            if "json" in content_type:
                self.check_schema(
                    described["content"][content_type]["schema"], json.loads(answer.body), (request, answer)
                )

    def check_without_operation(self, request: Request, answer: Answer, operation: dict[str, Any] | None) -> None:
        if answer.status == 204 and request.method == b"OPTIONS":
            assert "access-control-allow-methods" in answer.headers
            return
        # A request target in another form, or one cut short, may reach another path than its text says.
        assert operation is None or answer.status in {404, 405}, (request, answer)
        assert answer.status in {400, 404, 405}, (request, answer)
        if answer.status == 405:
            assert answer.headers["allow"]
        if request.method != b"HEAD":
            problem = json.loads(answer.body)
            self.check_schema({"$ref": "#/components/schemas/Problem"}, problem, (request, answer))
            assert (problem["status"], problem["code"]) in {
                (400, "malformed_request"), (404, "not_found"), (405, "method_not_allowed"),
            }  # fmt: skip

    def operation(self, request: Request) -> dict[str, Any] | None:
        path = request.target.partition(b"?")[0].partition(b"#")[0].decode("latin-1")
        method = "get" if request.method == b"HEAD" else request.method.decode("latin-1").lower()
        if request.method not in METHODS or request.method == b"get":
            return None
        for pattern, methods in self.paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = methods.get(method)
                return found
        return None

    def check_schema(self, schema: dict[str, Any], value: Any, context: object) -> None:
        key = json.dumps(schema)
        if key not in self.validators:
            self.validators[key] = Draft202012Validator({**schema, "components": self.document["components"]})
        errors = [error.message for error in self.validators[key].iter_errors(value)]
        assert not errors, (errors, context)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_ten_thousand_mutated_requests(start_api: StartApi) -> None:
    log = io.StringIO()
    render = configure_logs(LogSettings(format="json"), log)
    api = await start_api(
        request_log=RequestLog(FakeClock(), render, log),
        cors=CorsSettings(origins=("https://app.example.com",)),
        server=ServerSettings(body_timeout_seconds=5, trusted_proxies=("127.0.0.0/8",)),
    )
    tokens = [await api.token("sahan"), await api.token("lak")]
    listed = await (await api.request("GET", "/users", tokens[0])).json()
    judge = Judge(await (await api.request("GET", "/openapi.json")).json())
    mutator = Mutator(SEED, tokens, listed["users"][0]["id"])
    requests = [mutator.next() for _ in range(REQUESTS)]
    seen: Counter[int] = Counter()
    unanswered = []

    async def worker() -> None:
        while requests:
            request = requests.pop()
            answer = await send(api, request)
            if answer is None:
                unanswered.append(request)
                continue
            seen[answer.status] += 1
            judge.check(request, answer)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(worker())
    assert "Traceback" not in log.getvalue()
    assert sum(seen.values()) + len(unanswered) == REQUESTS
    # A body that ends before its length, or no request line at all, leaves nobody to answer.
    assert len(unanswered) < REQUESTS * 0.03, unanswered[:5]
    # The mutations reached every corner; if not, this test proves little.
    assert {200, 201, 204, 400, 401, 403, 404, 405, 415, 422} <= set(seen), seen
