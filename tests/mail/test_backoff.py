from __future__ import annotations

from server.mail.backoff import LONGEST_WAIT_MS, wait_ms


def test_waits_grow_from_seconds_to_hours_and_fill_a_day_with_a_dozen_attempts() -> None:
    waits = [wait_ms(attempts, 0.5) // 1000 for attempts in range(1, 13)]
    assert waits == [10, 30, 60, 120, 300, 900, 3600, 7200, 14400, 28800, 28800, 28800]
    assert sum(waits[:10]) < 86_400 < sum(waits)


def test_what_failed_together_is_not_tried_together_again() -> None:
    assert (wait_ms(3, 0.0), wait_ms(3, 1.0)) == (54_000, 66_000)
    assert wait_ms(99, 1.0) == LONGEST_WAIT_MS
