"""`server.public_url` is compared with what browsers send, so it is brought into their form, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.settings.public_url import as_public_url
from server.settings.tree import ServerSettings
from tests.in_process import run


@pytest.mark.parametrize(
    "text",
    [
        "https://auth.example.com",
        "https://auth.example.com:8443",
        "https://auth.example.com:80",
        "https://192.0.2.7",
        "https://[2001:db8::1]",
        "https://[2001:db8::1]:8443",
        "https://xn--mnchen-3ya.example",
        "https://auth",
        "http://localhost",
        "http://localhost:8080",
        "http://auth.localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.3.2.1:443",
        "http://[::1]:8080",
        "",
    ],
)
def test_an_origin_as_browsers_send_it_stays_as_it_is(text: str) -> None:
    assert as_public_url(text) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://auth.example.com/", "https://auth.example.com"),
        ("https://auth.example.com:443", "https://auth.example.com"),
        ("https://auth.example.com:443/", "https://auth.example.com"),
        ("https://auth.example.com:", "https://auth.example.com"),
        ("https://auth.example.com:08443", "https://auth.example.com:8443"),
        ("HTTPS://Auth.Example.COM", "https://auth.example.com"),
        ("https://auth.example.com.", "https://auth.example.com"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://MÜNCHEN.example/", "https://xn--mnchen-3ya.example"),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
        ("http://localhost:80", "http://localhost"),
        ("http://LocalHost:8080/", "http://localhost:8080"),
        ("http://127.1:8080", "http://127.0.0.1:8080"),
        ("http://[0:0::1]/", "http://[::1]"),
    ],
)
def test_what_can_be_meant_in_one_way_is_taken_so(text: str, meant: str) -> None:
    assert as_public_url(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://auth.example.com/login", "more than scheme, host and port; write https://auth.example.com"),
        ("https://auth.example.com//", "more than scheme"),
        ("https://auth.example.com/?", "more than scheme"),
        ("https://auth.example.com?a=b", "more than scheme"),
        ("https://auth.example.com#top", "more than scheme"),
        ("https://auth.example.com\\", "more than scheme"),
        ("https://ada:hush@auth.example.com", "before the @; write https://auth.example.com"),
        ("https://ada@auth.example.com", "before the @"),
        ("https://@auth.example.com", "before the @"),
        ("http://auth.example.com", "in the clear.*write https://auth.example.com,"),
        ("http://192.168.1.5:8080", "in the clear.*write https://192.168.1.5:8080,"),
        ("http://localhost.example.com", "in the clear"),
        ("http://evil-localhost", "in the clear"),
        ("http://[2001:db8::1]", "in the clear"),
        ("http://0.0.0.0:8080", "an address to listen on"),
        ("https://0.0.0.0", "an address to listen on"),
        ("https://[::]", "an address to listen on"),
        ("auth.example.com", "no address of a server"),
        ("auth.example.com:443", "no address of a server"),
        ("//auth.example.com", "no address of a server"),
        ("https:auth.example.com", "no address of a server"),
        ("https://", "no address of a server"),
        ("https:///", "no address of a server"),
        ("https://:443", "no address of a server"),
        ("https://auth.example.com:0", "no address of a server"),
        ("https://auth.example.com:65536", "no address of a server"),
        ("https://auth.example.com:https", "no address of a server"),
        ("https://auth example.com", "no address of a server"),
        ("https://*.example.com", "no address of a server"),
        ("https://[::1", "no address of a server"),
        ("https://[fe80::1%25eth0]", "no address of a server"),
        ("https://256.0.0.1", "no address of a server"),
        ("ws://auth.example.com", "no address of a server"),
        ("wss://auth.example.com", "no address of a server"),
        ("ftp://auth.example.com", "no address of a server"),
        ("javascript://auth.example.com", "no address of a server"),
        ("null", "no address of a server"),
        (" https://auth.example.com", "no address of a server"),
    ],
)
def test_what_is_no_origin_of_a_server_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        as_public_url(text)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "listening_port", "origin"),
    [
        (ServerSettings(), None, "http://127.0.0.1:8080"),
        (ServerSettings(host="localhost", port=80), None, "http://localhost"),
        (ServerSettings(host="0.0.0.0"), None, "http://127.0.0.1:8080"),  # noqa: S104 - looked at, not listened on
        (ServerSettings(host="::"), None, "http://[::1]:8080"),
        (ServerSettings(host="2001:db8::1"), None, "http://[2001:db8::1]:8080"),
        (ServerSettings(port=0), None, ""),
        (ServerSettings(port=0), 4711, "http://127.0.0.1:4711"),
        (ServerSettings(public_url="https://auth.example.com/"), None, "https://auth.example.com"),
        (ServerSettings(public_url="https://auth.example.com", port=0), 4711, "https://auth.example.com"),
    ],
)
def test_links_begin_with_it_or_else_with_the_address_of_the_listener(
    server: ServerSettings, listening_port: int | None, origin: str
) -> None:
    assert server.public_origin(listening_port) == origin


def test_config_check_names_the_setting_and_no_password(tmp_path: Path) -> None:
    done = run(tmp_path, "config", "check", WATCHWORD__SERVER__PUBLIC_URL="https://ada:hush@auth.example.com")
    assert done.returncode == 2
    assert re.search(r"server\.public_url: .* write https://auth\.example\.com$", done.stderr, re.MULTILINE)
    assert "hush" not in done.stdout + done.stderr
    assert run(tmp_path, "config", "check", WATCHWORD__SERVER__PUBLIC_URL="https://Auth.Example.com/").returncode == 0
    shown = run(tmp_path, "config", "show", WATCHWORD__SERVER__PUBLIC_URL="https://Auth.Example.com/").stdout
    assert 'public_url = "https://auth.example.com"' in shown
