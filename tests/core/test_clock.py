"""When the wall clock may be deleted by."""

from __future__ import annotations

from server.core.clock import Steadiness
from tests.clock import FakeClock


def test_a_clock_is_steady_when_it_has_kept_step_for_ten_minutes() -> None:
    clock = FakeClock()
    steadiness = Steadiness(clock, 300)
    assert not steadiness.holds()
    clock.advance(599)
    assert not steadiness.holds()
    clock.advance(1)
    assert steadiness.holds()


def test_a_clock_that_was_set_begins_anew_whichever_way_it_went() -> None:
    for by in (2 * 365 * 86_400, 61, -61, -50 * 365 * 86_400):
        clock = FakeClock()
        steadiness = Steadiness(clock, 300)
        clock.advance(6000)
        clock.set_wall(by)
        for _ in range(10):
            assert not steadiness.holds()
            clock.advance(59)
        clock.advance(10)
        assert steadiness.holds()


def test_a_correction_of_a_minute_is_no_jump() -> None:
    clock = FakeClock()
    steadiness = Steadiness(clock, 300)
    clock.advance(600)
    clock.set_wall(-60)
    assert steadiness.holds()


def test_where_tokens_live_longer_a_clock_is_steady_when_those_from_before_are_over() -> None:
    clock = FakeClock()
    steadiness = Steadiness(clock, 86_400)
    clock.advance(86_399)
    assert not steadiness.holds()
    clock.advance(1)
    assert steadiness.holds()


def test_if_tokens_come_to_live_longer_it_is_steady_later_and_never_earlier() -> None:
    clock = FakeClock()
    steadiness = Steadiness(clock, 3600)
    steadiness.require(7200)
    steadiness.require(300)
    clock.advance(7199)
    assert not steadiness.holds()
    clock.advance(1)
    assert steadiness.holds()
