"""One structured line a request, and no secret in any of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any, Literal

import pytest
import structlog

from server.http.request_log import RequestLog
from server.logs.output import configure_logs
from server.settings.tree import LogSettings, ServerSettings
from tests.clock import FakeClock
from tests.http.logged import Log, start_logged
from tests.running import PASSWORD, StartApi


async def test_a_line_has_the_template_and_the_id_that_goes_out(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    token = await api.token("sahan")
    response = await api.request("GET", "/users/0000?secret=1", token)
    line = log.lines()[-1]
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert (line["event"], line["method"], line["route"]) == ("request", "GET", "/users/{user_id}")
    assert (line["status"], line["client"]) == (404, "127.0.0.1")
    assert line["subject"] is not None
    assert isinstance(line["duration_ms"], float)
    assert line["timestamp"].endswith("Z")
    assert "path" not in line
    await api.request("GET", "/nowhere")
    assert (log.lines()[-1]["route"], log.lines()[-1]["subject"]) == (None, None)


# What is asked for, and what the log has of it: no query, and of the path too little to hold a token whole.
UNKNOWN = {
    "/nowhere": "/nowhere",
    "/nowhere/": "/nowhere/",
    "/a/b?token=hush": "/a/b",
    "/a?b/hush": "/a",
    "/a/b/hush/d": "/a/b/...",
    "//a/hush": "//a/...",
    "/users/019ab25f-6a0e-7c1d-9b63-3f0f6f7f8f10/x": "/users/019ab25f-6a0e-7c1d-9b63-3f0f6f7f8f10/...",
    "/wp-login.php;hush=1": "/wp-login.php...",
    "/a%3Ftoken=hush/b%3bhush": "/a.../b...",
    "//user:hush@host/x": "//user.../...",
    "/hello=hush/b%40hush": "/hello.../b...",
    "/" + "a" * 36 + "/" + "b" * 37: "/" + "a" * 36 + "/" + "b" * 36 + "...",
    "/" + "a" * 5000 + "/hush" * 500: "/" + "a" * 36 + ".../hush/...",
    "/a%0Ab%1B%5B31m%00": "/a%0Ab%1B%5B31m%00",
    "/%E2%80%AEx%C2%85%FF": "/%E2%80%AEx%C2%85%FF",
    "/.env%20": "/.env%20",
    "http://user:hush@elsewhere.example/a/b?hush": "/a/b",
    "*": "*",
}


@pytest.mark.parametrize("form", ["json", "console"])
async def test_of_an_unknown_path_the_beginning_is_logged(
    start_api: StartApi, form: Literal["json", "console"]
) -> None:
    """In visible ASCII, at the level of every request."""
    stream = io.StringIO()
    log = RequestLog(FakeClock(), configure_logs(LogSettings(format=form), stream), stream)
    api = await start_api(request_log=log)
    for target, path in UNKNOWN.items():
        method = "OPTIONS" if target == "*" else "GET"
        reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 404"), target
        writer.close()
        await writer.wait_closed()
        log.flush()
        # The server may have logged something else too, for example that its clock is not that of PostgreSQL.
        text = [line for line in stream.getvalue().splitlines() if "route" in line][-1]
        assert text.isascii()
        assert text.isprintable()
        if form == "json":
            line = json.loads(text)
            assert (line["route"], line["path"], line["level"]) == (None, path, "info")
        else:
            assert f"path={path} " in text.replace("'", "")
    assert "hush=" not in stream.getvalue().replace(";hush=1", "")
    assert sum("route" in line for line in stream.getvalue().splitlines()) == len(UNKNOWN)


async def test_a_wrong_method_is_logged_with_the_path(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    await api.request("DELETE", "/users")
    assert (log.lines()[-1]["status"], log.lines()[-1]["route"], log.lines()[-1]["path"]) == (405, None, "/users")


async def test_who_is_refused_is_in_the_log(start_api: StartApi) -> None:
    """Whose token it was, if it was one: of a role that does not suffice, or revoked."""
    log = Log()
    api = await start_logged(start_api, log)
    token = await api.token("lak")
    subject = (await (await api.request("GET", "/me", token)).json())["user"]["id"]
    for path in ("/users", f"/users/{subject}", "/verify?role=admin"):
        assert (await api.request("GET", path, token)).status == 403
        assert (log.lines()[-1]["status"], log.lines()[-1]["subject"]) == (403, subject)
    assert (await api.request("DELETE", f"/users/{subject}", token)).status == 403
    assert log.lines()[-1]["subject"] == subject
    # A token that does not hold says nothing.
    await api.request("GET", "/users", token + "x")
    assert (log.lines()[-1]["status"], log.lines()[-1]["subject"]) == (401, None)
    other = await api.token("lak")
    assert (await api.request("POST", "/logout", token)).status == 204
    admin = await api.token("sahan")
    await api.request("PATCH", f"/users/{subject}", admin, json={"role": "admin"})
    for revoked in (token, other):
        for path in ("/users", "/me"):
            await api.problem(await api.request("GET", path, revoked), 401, "token_revoked")
            assert (log.lines()[-1]["status"], log.lines()[-1]["subject"]) == (401, subject)


async def test_no_token_password_or_hash_is_logged(start_api: StartApi, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    answer = await api.log_in("lak")
    credentials = await api.services.repositories.users.find_credentials("lak")
    assert credentials is not None
    await api.request("POST", "/login", json={"username": "lak", "password": "a wrong password"})
    await api.request(
        "POST", "/login", data='{"password": "a wrong password"', headers={"Content-Type": "application/json"}
    )
    await api.request("GET", "/users?q=a+wrong+password", answer["token"] + "x")
    await api.request("GET", "/me?token=" + answer["token"], answer["token"])

    async def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(api.services.sessions), "open", broken)
    await api.request("POST", "/login", json={"username": "lak", "password": PASSWORD})
    text = log.text()
    assert "RuntimeError" in text
    for secret in (answer["token"], answer["refresh_token"], PASSWORD, "a wrong password", credentials.password_hash):
        assert secret is not None
        assert secret not in text


async def test_the_client_is_the_one_behind_a_trusted_proxy(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log, server=ServerSettings(trusted_proxies=("127.0.0.0/8",)))
    await api.request("GET", "/health/live", headers={"X-Forwarded-For": "198.51.100.7"})
    assert log.lines()[-1]["client"] == "198.51.100.7"


async def test_a_malformed_request_is_one_line_without_what_was_sent(start_api: StartApi) -> None:
    log = Log()
    api = await start_logged(start_api, log)
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(b"GET / HTTP/1.1\r\nAuthorization: Bearer hush\x00hush\r\n\r\n")
    answer = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
    writer.close()
    await writer.wait_closed()
    assert [line["request_id"] for line in log.lines()] == [answer["request_id"]]
    assert "hush" not in log.text()


async def test_a_terminal_gets_readable_lines(start_api: StartApi) -> None:
    stream = io.StringIO()
    log = RequestLog(FakeClock(), configure_logs(LogSettings(format="console"), stream), stream)
    assert configure_logs(LogSettings(format="auto"), stream) is None
    api = await start_api(request_log=log)
    await api.request("GET", "/health/live")
    log.flush()
    assert "route=/health/live" in stream.getvalue()


async def test_a_log_that_can_not_be_written_ends_nothing(start_api: StartApi) -> None:
    stream = io.StringIO()
    log = RequestLog(FakeClock(), stream=stream)
    api = await start_api(request_log=log)
    stream.close()
    assert (await api.request("GET", "/health/live")).status == 200
    log.flush()
    assert (await api.request("GET", "/health/live")).status == 200


HOSTILE = "a\nb\r\u2028c\u2029\x85\x0b\x0c\x1c\x1b[31m\x9b2J\x7f\u202ed\u200f\x00\ud800 e\U000e0001"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_line_stays_one_line_whatever_is_in_it(form: Literal["json", "console"]) -> None:
    stream = io.StringIO()
    configure_logs(LogSettings(level="debug", format=form), stream)
    structlog.get_logger("watchword").warning(f"hostile {HOSTILE}", name=HOSTILE, other=[HOSTILE])
    logging.getLogger("aiohttp").warning("hostile %s", HOSTILE)
    text = stream.getvalue()
    first, second = text.splitlines()
    assert text == f"{first}\n{second}\n"
    assert text.replace("\n", "").isprintable()
    for line in (first, second):
        assert "hostile a" in line
        assert " e" in line


def test_json_tells_the_text_as_it_was() -> None:
    stream = io.StringIO()
    configure_logs(LogSettings(format="json"), stream)
    text = HOSTILE.replace("\ud800", "")
    structlog.get_logger("watchword").warning("e", name=text, plain="Ünal é 名")
    line = json.loads(stream.getvalue())
    assert (line["name"], line["plain"]) == (text, "Ünal é 名")
    assert "Ünal é 名" in stream.getvalue()
