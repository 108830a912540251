from __future__ import annotations

import uuid

import pytest

from server.authentication.device import DeviceMarks
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness

IDS = Ids(SystemClock(), SystemRandomness())
MARKS = DeviceMarks(b"k" * 32, IDS)
LAK, DAVID = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def test_a_mark_names_a_device_of_one_user() -> None:
    mark = MARKS.issue(LAK)
    device = MARKS.device_of(mark, LAK)
    assert device is not None
    assert MARKS.device_of(mark, DAVID) is None
    assert MARKS.device_of(MARKS.issue(LAK), LAK) != device


def test_a_mark_that_is_renewed_names_the_same_device() -> None:
    device = MARKS.device_of(MARKS.issue(LAK), LAK)
    assert MARKS.device_of(MARKS.issue(LAK, device), LAK) == device


@pytest.mark.parametrize("mark", [None, "", "x", "wwd_", "wwr_AAAA"])
def test_what_was_not_issued_here_is_no_mark(mark: str | None) -> None:
    assert MARKS.device_of(mark, LAK) is None


def test_a_mark_that_was_changed_or_made_elsewhere_is_none() -> None:
    mark = MARKS.issue(LAK)
    assert MARKS.device_of(mark, LAK) is not None
    assert [MARKS.device_of(other, LAK) for other in (mark[:-1], mark + "A", mark.upper())] == [None] * 3
    assert DeviceMarks(b"o" * 32, IDS).device_of(MARKS.issue(LAK), LAK) is None
