from __future__ import annotations

import uuid

import pytest

from server.authentication.device import DeviceCookies
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness

IDS = Ids(SystemClock(), SystemRandomness())
COOKIES = DeviceCookies(b"k" * 32, IDS)
LAK, DAVID = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def test_a_cookie_names_a_device_of_one_user() -> None:
    cookie = COOKIES.issue(LAK)
    device = COOKIES.device_of(cookie, LAK)
    assert device is not None
    assert COOKIES.device_of(cookie, DAVID) is None
    assert COOKIES.device_of(COOKIES.issue(LAK), LAK) != device


def test_a_cookie_that_is_renewed_names_the_same_device() -> None:
    device = COOKIES.device_of(COOKIES.issue(LAK), LAK)
    assert COOKIES.device_of(COOKIES.issue(LAK, device), LAK) == device


@pytest.mark.parametrize("cookie", [None, "", "x", "wwd_", "wwr_AAAA"])
def test_what_was_not_issued_here_is_no_cookie(cookie: str | None) -> None:
    assert COOKIES.device_of(cookie, LAK) is None


def test_a_cookie_that_was_changed_or_made_elsewhere_is_none() -> None:
    cookie = COOKIES.issue(LAK)
    assert COOKIES.device_of(cookie, LAK) is not None
    assert [COOKIES.device_of(other, LAK) for other in (cookie[:-1], cookie + "A", cookie.upper())] == [None] * 3
    assert DeviceCookies(b"o" * 32, IDS).device_of(COOKIES.issue(LAK), LAK) is None
