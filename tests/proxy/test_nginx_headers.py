"""The nginx example: whatever a client says of itself, the application hears it from the proxy alone."""

from __future__ import annotations

import re
import socket

import pytest

from tests.browser.scene import COOKIE, PASSWORD, USERNAME
from tests.proxy.application import Call
from tests.proxy.conftest import Scene

FORGED = "forged"
MARK = "__Host-watchword-device"
PATHS = ["/public/x", "/orders", "/admin/reports"]
NAMES = ["X-Auth-Subject", "X-Auth-Username", "X-Auth-Role"]
FORWARDED = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"]
# The characters of a field name (RFC 9110 section 5.6.2) that CGI and its heirs turn into an underscore.
SEPARATORS = "-_.!#$%&'*+^`|~"


def spellings(name: str) -> list[str]:
    return [name.lower(), name.upper(), name.swapcase(), *(name.replace("-", other) for other in SEPARATORS)]


def as_cgi(call: Call) -> dict[str, list[str]]:
    """The fields as CGI, WSGI and PHP name them (RFC 3875 section 4.1.18)."""
    variables: dict[str, list[str]] = {}
    for name, value in call.headers:
        variables.setdefault(re.sub("[^A-Z0-9]", "_", name.upper()), []).append(value)
    return variables


def nothing_forged(call: Call) -> None:
    assert FORGED not in repr(call.headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", NAMES + FORWARDED)
def test_no_spelling_of_a_forged_header_arrives(scene: Scene, path: str, name: str) -> None:
    with scene.connected() as client:
        for spelling in spellings(name):
            scene.application.calls.clear()
            answer = client.ask("GET", path, [(spelling, FORGED), (spelling, FORGED)], token=scene.admin)
            assert answer.status == 200, spelling
            [call] = scene.application.calls
            nothing_forged(call)
            arrived = as_cgi(call)
            if path == "/public/x":
                assert not any(variable.startswith("X_AUTH") for variable in arrived), spelling
            else:
                assert (arrived["X_AUTH_USERNAME"], arrived["X_AUTH_ROLE"]) == (["admin"], ["admin"])
                assert len(arrived["X_AUTH_SUBJECT"]) == 1


@pytest.mark.parametrize("path", PATHS)
def test_all_forged_headers_at_once_do_not_arrive(scene: Scene, path: str) -> None:
    forged = [(spelling, FORGED) for name in NAMES + FORWARDED for spelling in spellings(name)]
    assert scene.ask("GET", path, forged, token=scene.admin).status == 200
    [call] = scene.application.calls
    nothing_forged(call)


@pytest.mark.parametrize("path", ["/orders", "/admin/reports"])
def test_a_client_cannot_have_a_header_taken_away(scene: Scene, path: str) -> None:
    """What `Connection` names is for the next hop alone (RFC 9110 section 7.6.1), so a proxy might drop it."""
    named = ", ".join(["close", *NAMES, "X-Forwarded-For"])
    assert scene.ask("GET", path, [("Connection", named)], token=scene.admin).status == 200
    [call] = scene.application.calls
    assert call.values("X-Auth-Role") == ["admin"]
    assert call.values("X-Forwarded-For") == ["127.0.0.1"]
    assert call.values("Connection") == []


@pytest.mark.parametrize(
    "lines",
    [
        b"X-Auth-Role : forged\r\n\r\n",
        b"X-Other: a\r\n X-Auth-Role: forged\r\n\r\n",
        b"X-Other: a\rX-Auth-Role: forged\r\n\r\n",
        b"X-Other: a\nX-Auth-Role: forged\n\n",
        b"X-Other: a\0\r\nX-Auth-Role: forged\r\n\r\n",
        b"Trailer: X-Auth-Role\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Auth-Role: forged\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["space", "folded", "CR", "LF", "NUL", "trailer", "two lengths"],
)
@pytest.mark.parametrize("path", PATHS)
def test_broken_header_lines_bring_nothing_in(scene: Scene, path: str, lines: bytes) -> None:
    start = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {scene.admin}\r\n"
    with socket.create_connection(("127.0.0.1", scene.nginx.port), timeout=30) as connection:
        connection.sendall(start.encode() + lines)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 (200|400) ", answer), answer
    passed = answer.startswith(b"HTTP/1.1 200")
    assert [(call.method, call.path) for call in scene.application.calls] == ([("POST", path)] if passed else [])
    for call in scene.application.calls:
        nothing_forged(call)
        assert as_cgi(call).get("X_AUTH_ROLE", []) == ([] if path == "/public/x" else ["admin"])


def test_the_client_is_the_one_that_nginx_has_seen(scene: Scene) -> None:
    """Watchword believes the proxy (server.trusted_proxies), so the proxy must not repeat what a client claims."""
    claims = [("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6")]
    with scene.connected("127.0.0.9") as client:
        token = client.post("/login", {"username": USERNAME, "password": PASSWORD}, claims).json()["token"]
        sessions = client.ask("GET", "/me/sessions", claims, token=token).json()["sessions"]
        assert [session["ip"] for session in sessions if session["current"]] == ["127.0.0.9"]
        client.ask("GET", "/orders", claims, token=token)
    [call] = scene.application.calls
    assert call.values("X-Forwarded-For") == call.values("X-Real-IP") == ["127.0.0.9"]
    assert call.values("X-Forwarded-Host") == call.values("Host") == [f"127.0.0.1:{scene.nginx.port}"]
    assert call.values("X-Forwarded-Proto") == ["http"]
    assert call.values("Forwarded") == []


def test_a_page_of_the_same_host_can_log_in_with_a_cookie_and_one_of_another_cannot(scene: Scene) -> None:
    body = {"username": USERNAME, "password": PASSWORD, "cookie": True}
    with scene.connected() as client:
        answer = client.post("/login", body, [("Origin", f"http://127.0.0.1:{scene.nginx.port}")])
        assert answer.status == 200
        [cookie] = [text for text in answer.values("Set-Cookie") if text.startswith(f"{COOKIE}=")]
        sent = ("Cookie", cookie.partition(";")[0])
        assert client.ask("POST", "/refresh", [sent, ("Sec-Fetch-Site", "same-origin")]).status == 200
        answer = client.post("/login", body, [("Origin", "http://evil.example")])
        assert (answer.status, answer.problem()["code"]) == (403, "csrf")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        (f"{COOKIE}=wwr_secret", []),
        (f"{COOKIE}=wwr_secret; a=1", ["a=1"]),
        (f"a=1; {COOKIE}=wwr_secret; b=2", ["a=1; b=2"]),
        (f"a=1;{COOKIE}=wwr_secret;b=2", ["a=1;b=2"]),
        (f"a=1; {COOKIE}=wwr_secret", ["a=1; "]),
        (f"a=1; not{COOKIE}=2", [f"a=1; not{COOKIE}=2"]),
        (f"{MARK}=wwd_mark", []),
        (f"a=1; {MARK}=wwd_mark; b=2", ["a=1; b=2"]),
        (f"{MARK}=wwd_mark; {COOKIE}=wwr_secret", []),
        # Read by nobody, so the application gets nothing rather than one of the two.
        (f"a=1; {COOKIE}=wwr_secret; {COOKIE}=planted", []),
        (f"a=1; {MARK}=wwd_mark; b=2; {MARK}=planted", []),
        (f"a=1;  {COOKIE} =wwr_secret", []),
        (f"a=1; {COOKIE}=wwr_secret; b=2; {MARK}=wwd_mark; c=3", ["a=1; b=2; c=3"]),
        (f"a=1; not{MARK}=2", [f"a=1; not{MARK}=2"]),
        ("a=1; b=2", ["a=1; b=2"]),
    ],
)
def test_the_cookies_of_watchword_are_not_for_the_application(
    scene: Scene, path: str, sent: str, arrives: list[str]
) -> None:
    assert scene.ask("GET", path, [("Cookie", sent)], token=scene.admin).status == 200
    [call] = scene.application.calls
    assert [value.rstrip() for value in call.values("Cookie")] == [value.rstrip() for value in arrives]
