"""10,000 requests, each mutated at random from a good one: path, method, headers, body, token.

Guards the promise of the contract that whatever bytes arrive, the answer is one of those it names: no 5xx, no
traceback,
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

from server.http.request_log import RequestLog
from server.logs.output import configure_logs
from server.settings.tree import CorsSettings, LogSettings, ServerSettings
from tests.clock import FakeClock
from tests.running import PASSWORD, Api, StartApi
from tests.volume import volume

REQUESTS = volume(10_000)
SEED = 7519
CONNECTIONS = 8

SPICES: tuple[bytes, ...] = (
    b"", b"\x00", b"\r", b"\n", b"\r\n", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"%00", b"%ff", b"%2f", b"..", b"//",
    b"?",
    b"#", b"&", b"=", b"'", b'"', b";", b",", b":", b"{", b"}", b"[", b"]", b"\\ud800", b"\\u0000", b"null", b"true",
    b"-1",
    b"1e999", b"NaN", b"9" * 400, b"A" * 9000, "ß".encode(), "💥".encode(), b"<script>", b"' OR 1=1 --", b"${x}", b" ",
    b"\t",
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

    def __init__(self, seed: int, tokens: list[str], refresh_token: str, user_id: str) -> None:
        self.random = random.Random(seed)
        self.tokens = tokens
        self.refresh_token = refresh_token.encode()
        self.user = user = user_id.encode()
        # Good in form: a user who is deleted or disabled would be missed by the requests behind it.
        # And far from it: one spoilt digit must not make it the user's id.
        nobody = b"01990000-0000-7000-8000-00000000beef"
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
            (b"PATCH", b"/users/" + user, b'{"name": "L", "role": "customer"}'),
            (b"PATCH", b"/users/" + nobody, b'{"name": "L", "role": "customer", "disabled": false}'),
            (b"DELETE", b"/users/" + nobody, b""),
            (b"GET", b"/users/" + user + b"/sessions", b""),
            (b"DELETE", b"/users/" + nobody + b"/sessions", b""),
            (b"POST", b"/users/" + user + b"/password-reset", b""),
            (b"GET", b"/me/sessions", b""),
            (b"DELETE", b"/me/sessions", b""),
            (b"DELETE", b"/me/sessions/" + user, b""),
            (b"POST", b"/me/password", json.dumps({"current_password": "x", "new_password": PASSWORD}).encode()),
            (b"POST", b"/refresh", json.dumps({"refresh_token": refresh_token}).encode()),
            (b"POST", b"/logout", b'{"refresh_token": "wwr_x"}'),
            (b"POST", b"/refresh", b""),
            (b"POST", b"/login", json.dumps({"username": "lak", "password": PASSWORD, "cookie": True}).encode()),
            (b"POST", b"/password/reset", reset),
            (b"GET", b"/routes", b""),
            (b"GET", b"/verify?role=admin", b""),
            (b"GET", b"/.well-known/jwks.json", b""),
            (b"GET", b"/openapi.json", b""),
            (b"GET", b"/docs", b""),
            (b"GET", b"/inspect", b""),
            (b"POST", b"/inspect", json.dumps({"token": tokens[0]}).encode()),
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
            headers.append((b"Cookie", b"__Host-watchword=" + self.refresh_token))
        request = Request(method, target, headers, body)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
            self.random.choice((self.method, self.target, self.header, self.new_header, self.content, self.token))(
                request
            )
        if request.target.startswith(b"/logout"):
            # One good token here, and all requests behind it would be answered with 401.
            request.headers = [pair for pair in request.headers if pair[0] != b"Authorization"]
        if request.method == b"DELETE":
            request.target = request.target.replace(self.user, b"0" + self.user[1:-1] + b"f")
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
             b"User-Agent", b"Range", b"If-None-Match", b"Transfer-Encoding", b"Content-Length", b"X-Request-Id",
             b"Upgrade", self.spoil(b"X-Any"))
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
    """Holds answers against the OpenAPI document. The server's own log says which operation a request reached."""

    def __init__(self, document: dict[str, Any], requests: RequestLog, log: io.StringIO) -> None:
        self.document = document
        self.requests = requests
        self.log = log
        self.lines: dict[str, dict[str, Any]] = {}
        self.validators: dict[str, Draft202012Validator] = {}

    def logged(self, request_id: str) -> dict[str, Any]:
        """The line of that request; every answer has one."""
        self.requests.flush()
        text = self.log.getvalue()
        self.log.seek(0)
        self.log.truncate()
        for line in text.splitlines():
            assert "Traceback" not in line, line
            entry = json.loads(line)
            self.lines[entry["request_id"]] = entry
        return self.lines.pop(request_id)

    def check(self, request: Request, answer: Answer) -> None:
        context = (request, answer)
        assert answer.status < 500, context
        assert b"Traceback" not in answer.body
        line = self.logged(answer.headers["x-request-id"])
        if line["event"] == "malformed request":
            assert answer.status == 400, context
            self.check_problem(request, answer, {"malformed_request"})
        elif line["route"] is None and answer.status == 204:
            assert request.method == b"OPTIONS", context
            assert answer.headers["access-control-allow-methods"]
        elif line["route"] is None:
            codes = {400: "malformed_request", 404: "not_found", 405: "method_not_allowed"}
            assert answer.status in codes, context
            if answer.status == 405:
                assert line["method"] not in answer.headers["allow"].split(", "), context
            self.check_problem(request, answer, {codes[answer.status]})
        else:
            method = "get" if line["method"] == "HEAD" else line["method"].lower()
            operation = self.document["paths"][line["route"]].get(method)
            self.check_operation(request, answer, operation)

    def check_operation(self, request: Request, answer: Answer, operation: dict[str, Any] | None) -> None:
        context = (request, answer)
        assert operation is not None, context
        assert str(answer.status) in operation["responses"], context
        described = operation["responses"][str(answer.status)]
        for name, header in described.get("headers", {}).items():
            assert name.lower() in answer.headers or not header.get("required"), (name, context)
        if "content" not in described or request.method == b"HEAD":
            assert answer.body == b"", context
            return
        content_type = answer.headers["content-type"].partition(";")[0]
        assert content_type in described["content"], context
        if "json" in content_type:
            self.check_schema(described["content"][content_type]["schema"], json.loads(answer.body), context)

    def check_problem(self, request: Request, answer: Answer, codes: set[str]) -> None:
        """A failure outside of any operation."""
        if request.method == b"HEAD" and not answer.body:
            return
        problem = json.loads(answer.body)
        self.check_schema({"$ref": "#/components/schemas/Problem"}, problem, (request, answer))
        assert problem["status"] == answer.status
        assert problem["code"] in codes, (request, answer)

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
    request_log = RequestLog(FakeClock(), render, log)
    api = await start_api(
        request_log=request_log,
        cors=CorsSettings(origins=("https://app.example.com",)),
        server=ServerSettings(body_timeout_seconds=1, trusted_proxies=("127.0.0.0/8",)),
    )
    tokens = [await api.token("sahan"), await api.token("lak")]
    await api.services.users.create("david", "David", "customer", PASSWORD)
    refresh_token = (await api.log_in("david"))["refresh_token"]
    listed = await (await api.request("GET", "/users", tokens[0])).json()
    judge = Judge(await (await api.request("GET", "/openapi.json")).json(), request_log, log)
    mutator = Mutator(SEED, tokens, refresh_token, listed["users"][1]["id"])
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
    assert sum(seen.values()) + len(unanswered) == REQUESTS
    # A body that ends before its length, or no request line at all, leaves nobody to answer.
    assert len(unanswered) < REQUESTS * 0.03, unanswered[:5]
    # The good tokens were good to the end, and the mutations reached every corner; if not, this test proves little.
    for token in tokens:
        assert (await api.request("GET", "/me", token)).status == 200
    assert {200, 201, 204, 400, 401, 403, 404, 405, 415, 422} <= set(seen), seen
