"""When a worker that died is replaced, and what counts as a crash loop."""

from __future__ import annotations

from server.cli.restarts import DEATHS, FAILURES, LONGEST_PAUSE_SECONDS, WINDOW_SECONDS, Restarts


def test_a_worker_that_served_and_is_killed_is_replaced_at_once_however_often() -> None:
    restarts = Restarts(2)
    pauses = [restarts.pause_after(now * 2.0, was_ready=True, was_killed=True) for now in range(1000)]
    assert set(pauses) == {0.0}


def test_starts_that_fail_in_a_row_pause_longer_and_are_given_up() -> None:
    """Also if somebody kills each before it is ready."""
    for was_killed in (False, True):
        restarts = Restarts(2)
        pauses = [restarts.pause_after(0.0, was_ready=False, was_killed=was_killed) for _ in range(FAILURES)]
        assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
        assert pauses[-2:] == [LONGEST_PAUSE_SECONDS, None]


def test_a_worker_that_gets_ready_lets_the_others_begin_anew() -> None:
    restarts = Restarts(2)
    for now in range(100):
        assert restarts.pause_after(now * 2.0, was_ready=False, was_killed=True) == 0.1
        restarts.note_ready()


def test_workers_that_get_ready_and_end_by_themselves_are_a_crash_loop_too() -> None:
    restarts = Restarts(2)
    for now in range(FAILURES - 1):
        restarts.note_ready()
        assert restarts.pause_after(float(now), was_ready=True, was_killed=False)
    restarts.note_ready()
    assert restarts.pause_after(float(FAILURES), was_ready=True, was_killed=False) is None


def test_a_crash_now_and_then_is_no_crash_loop() -> None:
    restarts = Restarts(2)
    for number in range(100):
        assert restarts.pause_after(number * WINDOW_SECONDS, was_ready=True, was_killed=False) == 0.1


def test_what_ends_all_of_many_workers_once_is_no_crash_loop() -> None:
    restarts = Restarts(64)
    assert all(restarts.pause_after(0.0, was_ready=True, was_killed=False) for _ in range(64))


def test_too_many_deaths_in_a_minute_are_one_whatever_the_cause() -> None:
    restarts = Restarts(2)
    pauses = [restarts.pause_after(number / 10, was_ready=True, was_killed=True) for number in range(DEATHS)]
    assert pauses == (DEATHS - 1) * [0.0] + [None]
