"""What is read of a Cookie header (RFC 6265), which other hosts of the same site write parts of."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.core.ids import Ids, SystemRandomness
from server.sessions.cookies import (
    BROWSER_COOKIE,
    DEVICE_COOKIE,
    SESSION_COOKIE,
    browser_cookie_of,
    browser_of,
    device_cookie_of,
    session_cookie_of,
    set_browser_cookie,
)
from server.settings import Settings
from tests.clock import FakeClock

NAME = SESSION_COOKIE


def session_and_device(*fields: str) -> tuple[str | None, str | None]:
    request = make_mocked_request("POST", "/refresh", headers=CIMultiDict([("Cookie", field) for field in fields]))
    return session_cookie_of(request, Settings()), device_cookie_of(request)


# What a page of another host may set, as a browser sends it: names and values that are not ours.
PLANTED = [
    # Inside a value that only something else than RFC 6265 would split.
    "a=b {}=x",
    "a=b\t{}=x",
    "a=b, {}=x",
    "a=b,{}=x",
    "a=b\u00a0{}=x",
    "a=b\x0b{}=x",
    'a="b" {}=x',
    'a="\\" {}=x',
    "a={}=x",
    "a={}",
    # A name that is ours once something more than SP and HTAB is taken off.
    "\u00a0{}=x",
    "{}\u00a0=x",
    "\u0085{}=x",
    "\u2003{}=x",
    "\u3000{}=x",
    "\ufeff{}=x",
    "\x0b{}=x",
    "\x0c{}=x",
    "\x1c{}=x",
    "\x1f{}=x",
    # A name of which ours is a part.
    "a {}=x",
    "a b {}=x",
    "[ {}=x",
    '"{}=x',
    '"{}"=x',
    "${}=x",
    "$Version=1 {}=x",
    "x{}=x",
    "{}x=x",
    # A nameless cookie.
    "={}=x",
    "={}",
    "{}",
]


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("ours", [SESSION_COOKIE, DEVICE_COOKIE])
def test_a_cookie_of_another_name_is_not_ours_whatever_is_in_it(planted: str, ours: str) -> None:
    cookie = planted.format(ours)
    assert session_and_device(cookie) == (None, None)
    assert session_and_device(f"{SESSION_COOKIE}=own; {cookie}; {DEVICE_COOKIE}=mark") == ("own", "mark")
    assert session_and_device(f"{cookie}; {SESSION_COOKIE}=own", f"{DEVICE_COOKIE}=mark; {cookie}") == ("own", "mark")


@pytest.mark.parametrize("name", [NAME.lower(), NAME.upper(), "__host-Watchword", "__Secure-watchword", "watchword"])
def test_the_case_of_a_name_counts_and_so_does_its_prefix(name: str) -> None:
    assert session_and_device(f"{name}=x") == (None, None)
    assert session_and_device(f"{name}=x; {NAME}=own") == ("own", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (f"{NAME}=own", "own"),
        (f"a=b;{NAME}=own;c=d", "own"),
        (f"a=b; \t{NAME}=own \t; c=d;", "own"),
        (f"a; =b; ;; {NAME}=own", "own"),
        (f"$Version=1; {NAME}=own; $Path=/", "own"),
        # Nothing is undone: quotes, escapes and equals signs are of the value.
        (f'{NAME}="own"', '"own"'),
        (f'{NAME}="a\\054b"', '"a\\054b"'),
        (f"{NAME}=a=b", "a=b"),
        (f"{NAME}=a b", "a b"),
        (f"{NAME}=a%20b", "a%20b"),
        (f"{NAME}=\u00a0own", "\u00a0own"),
        # A quote that is never closed reaches no further than its own cookie.
        (f'a="b; {NAME}=own', "own"),
        (f'a="; {NAME}=own; b="', "own"),
    ],
)
def test_a_cookie_of_the_name_is_read_as_it_stands(field: str, value: str) -> None:
    assert session_and_device(field) == (value, None)


@pytest.mark.parametrize(
    "fields",
    [
        (f"{NAME}=own; {NAME}=planted",),
        (f"{NAME}=own", f"{NAME}=planted"),
        (f"{NAME}=own; a=b", f"c=d; {NAME}=own"),
        (f"{NAME}=; {NAME}=planted",),
        (f"{NAME}=own; {NAME} =planted",),
        (f"{NAME}=own; \t{NAME}\t=planted",),
    ],
)
def test_a_repeated_name_counts_as_none(fields: tuple[str, ...]) -> None:
    """One of them is somebody else's, and nothing tells which."""
    assert session_and_device(*fields) == (None, None)
    marks = [field.replace(NAME, DEVICE_COOKIE) for field in fields]
    assert session_and_device(*marks) == (None, None)


def test_the_cookies_may_come_in_several_fields() -> None:
    """As HTTP/2 splits them (RFC 9113 section 8.2.3), where a proxy does not join them again."""
    assert session_and_device("a=b", f"{NAME}=own", f"{DEVICE_COOKIE}=mark") == ("own", "mark")


BROWSER = "A" * 42 + "k"


def browser_read(*fields: str) -> str | None:
    return browser_cookie_of(
        make_mocked_request("POST", "/login/code", headers=CIMultiDict([("Cookie", field) for field in fields]))
    )


def test_the_browser_cookie_is_read_as_the_others() -> None:
    assert browser_read(f"a=b; {BROWSER_COOKIE}={BROWSER}; c=d") == BROWSER
    assert browser_read() is None
    other = "B" * 43
    for planted in PLANTED:
        cookie = planted.format(BROWSER_COOKIE).replace("=x", f"={other}")
        assert browser_read(cookie) is None
        assert browser_read(f"{BROWSER_COOKIE}={BROWSER}; {cookie}") == BROWSER


@pytest.mark.parametrize("value", ["", "x", BROWSER[:-1], BROWSER + "k", f'"{BROWSER}"', BROWSER[:-1] + "+"])
def test_a_browser_cookie_that_was_not_made_here_counts_as_none(value: str) -> None:
    assert browser_read(f"{BROWSER_COOKIE}={value}") is None
    assert browser_read(f"{BROWSER_COOKIE}={BROWSER}; {BROWSER_COOKIE}={value}") is None


def test_a_browser_keeps_its_cookie_and_a_new_one_gets_32_random_bytes() -> None:
    ids = Ids(FakeClock(), SystemRandomness())
    known = make_mocked_request("POST", "/login/code", headers={"Cookie": f"{BROWSER_COOKIE}={BROWSER}"})
    assert browser_of(known, ids) == BROWSER
    new = {browser_of(make_mocked_request("POST", "/login/code"), ids) for _ in range(10)}
    assert len(new) == 10
    assert all(browser_read(f"{BROWSER_COOKIE}={value}") == value for value in new)
    response = web.Response()
    set_browser_cookie(response, BROWSER)
    assert response.cookies[BROWSER_COOKIE].OutputString() == (
        f"{BROWSER_COOKIE}={BROWSER}; HttpOnly; Max-Age=604800; Path=/; SameSite=Strict; Secure"
    )
