"""What is read of a Cookie header (RFC 6265), which other hosts of the same site write parts of."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.sessions.cookies import DEVICE_COOKIE, SESSION_COOKIE, device_cookie_of, session_cookie_of
from server.settings import Settings

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
