"""Holds answers against the OpenAPI document. The server's own log says which operation a request has reached."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.process.server_process import DEADLINE_SECONDS

_STATUS_LINE = re.compile(r"HTTP/1\.[01] (\d{3}) [ -~]*")
_COMMON = {"cache-control", "content-type", "server", "x-content-type-options", "x-request-id"}
_REPEATED = {"set-cookie", "vary"}
# Outside of any operation, by status.
_CODES = {400: {"malformed_request"}, 404: {"not_found"}, 405: {"method_not_allowed"}, 503: {"overloaded"}}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    line: dict[str, Any]


class Log:
    """The lines of the server about requests, by their ids."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines: dict[str, dict[str, Any]] = {}

    def line(self, request_id: str) -> dict[str, Any]:
        """Waits until it is written."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while request_id not in self._lines:
            assert time.monotonic() < deadline, f"no line in the log for {request_id}"
            if not self._read_more():
                time.sleep(0.01)
        return self._lines.pop(request_id)

    def _read_more(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for text in whole.splitlines():
            entry = json.loads(text)
            if entry["event"] in {"request", "malformed request"}:
                self._lines[entry["request_id"]] = entry
        return bool(whole)


class Judge:
    """Raises AssertionError for whatever is not as documented. `seen` counts statuses."""

    def __init__(self, document: dict[str, Any], log: Log) -> None:
        self._document = document
        self._log = log
        self._validators: dict[str, Draft202012Validator] = {}
        self.seen: Counter[int] = Counter()

    def answers(self, raw: bytes) -> list[Answer]:
        """All answers of a connection; nothing may be left of them."""
        found = []
        while raw:
            head, ended, raw = raw.partition(b"\r\n\r\n")
            assert ended, ("an answer without an end of its head", head)
            first, *lines = head.decode("ascii").split("\r\n")
            status_line = _STATUS_LINE.fullmatch(first)
            assert status_line, first
            if status_line[1] == "100":
                continue
            pairs = [line.partition(":") for line in lines]
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            single = [name.lower() for name, _, _ in pairs if name.lower() not in _REPEATED]
            assert len(single) == len(set(single)), ("a header that is there twice", head)
            line = self._log.line(headers["x-request-id"])
            status = int(status_line[1])
            length = 0
            if status not in {204, 304} and line.get("method") != "HEAD":
                length = int(headers["content-length"])
            assert len(raw) >= length, ("a body that is too short", head, raw)
            found.append(Answer(status, headers, raw[:length], line))
            raw = raw[length:]
        return found

    def check(self, answer: Answer) -> None:
        self.seen[answer.status] += 1
        assert answer.status < 500 or answer.status == 503, answer
        assert b"Traceback" not in answer.body, answer
        line = answer.line
        missing = _COMMON - set(answer.headers)
        assert not missing - {"content-type"} or answer.status == 304, (missing, answer)
        if line["event"] == "malformed request":
            assert answer.status == 400, answer
            self._check_problem(answer, _CODES[400])
            return
        assert line["status"] == answer.status, answer
        if line["route"] is not None:
            method = "get" if line["method"] == "HEAD" else line["method"].lower()
            operation = self._document["paths"][line["route"]].get(method)
            assert operation is not None, answer
            self._check_operation(answer, operation)
        elif answer.status == 204:
            assert line["method"] == "OPTIONS", answer
            assert answer.headers["access-control-allow-methods"], answer
        else:
            assert answer.status in _CODES, answer
            if answer.status == 405:
                assert line["method"] not in answer.headers["allow"].split(", "), answer
            self._check_problem(answer, _CODES[answer.status])

    def _check_operation(self, answer: Answer, operation: dict[str, Any]) -> None:
        assert str(answer.status) in operation["responses"], answer
        described = operation["responses"][str(answer.status)]
        for name, header in described.get("headers", {}).items():
            assert name.lower() in answer.headers or not header.get("required"), (name, answer)
        if "content" not in described:
            assert answer.body == b"", answer
            return
        content_type = answer.headers["content-type"].partition(";")[0]
        assert content_type in described["content"] or "*/*" in described["content"], answer
        if "json" in content_type and answer.line["method"] != "HEAD":
            self._check_schema(described["content"][content_type]["schema"], answer)

    def _check_problem(self, answer: Answer, codes: set[str]) -> None:
        """A failure outside of any operation."""
        assert answer.headers["content-type"] == "application/problem+json", answer
        if answer.line.get("method") == "HEAD":
            return
        problem = self._check_schema({"$ref": "#/components/schemas/Problem"}, answer)
        assert problem["status"] == answer.status, answer
        assert problem["code"] in codes, answer

    def _check_schema(self, schema: dict[str, Any], answer: Answer) -> Any:
        value = json.loads(answer.body)
        key = json.dumps(schema)
        if key not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[key] = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        errors = [error.message for error in self._validators[key].iter_errors(value)]
        assert not errors, (errors, answer)
        return value
