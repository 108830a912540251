from __future__ import annotations

import pytest

from server.passwords.failure_cost import KINDS, MARGIN, MOST_SECONDS, FailureCost
from tests.passwords.conftest import Work


def test_at_first_a_failure_costs_the_usual_hash() -> None:
    assert FailureCost("usual", 0.2).seconds() == pytest.approx(0.2 * MARGIN)


def test_a_dearer_kind_makes_every_failure_dearer_and_a_cheaper_one_none_cheaper() -> None:
    cost = FailureCost("usual", 0.2)
    cost.learn("cheap", 0.01)
    assert cost.seconds() == pytest.approx(0.2 * MARGIN)
    cost.learn("dear", 0.5)
    assert cost.seconds() == pytest.approx(0.5 * MARGIN)


def test_a_dear_kind_gets_dearer_with_the_load_as_the_usual_one_does() -> None:
    cost = FailureCost("usual", 0.2)
    cost.learn("dear", 0.4)
    for _ in range(100):
        cost.learn("usual", 0.3)
    assert cost.seconds() == pytest.approx(0.6 * MARGIN, rel=1e-3)


def test_one_check_that_was_held_up_counts_for_little() -> None:
    cost = FailureCost("usual", 0.2)
    for _ in range(100):
        cost.learn("dear", 0.4)
    cost.learn("dear", 0.8)
    assert cost.seconds() < 0.46 * MARGIN


def test_what_was_held_up_when_it_was_met_first_is_soon_corrected() -> None:
    cost = FailureCost("usual", 0.2)
    cost.learn("dear", 0.8)
    for _ in range(5):
        cost.learn("dear", 0.4)
    assert cost.seconds() < 0.42 * MARGIN


def test_a_very_dear_kind_does_not_make_every_failure_as_dear() -> None:
    cost = FailureCost("usual", 0.2)
    cost.learn("very dear", 4.0)
    assert cost.seconds() == pytest.approx(MOST_SECONDS * MARGIN)


def test_where_the_usual_hash_is_dearer_than_that_a_failure_costs_the_usual_hash() -> None:
    cost = FailureCost("usual", 3.0)
    cost.learn("dearer", 4.0)
    assert cost.seconds() == pytest.approx(3.0 * MARGIN)


def test_the_dearest_kinds_are_kept() -> None:
    cost = FailureCost("usual", 0.2)
    cost.learn("dearest", 0.9)
    for number in range(KINDS):
        cost.learn(f"kind {number}", 0.3 + number / 1000)
    assert cost.knows("usual")
    assert cost.knows("dearest")
    assert not cost.knows("kind 0")
    assert cost.seconds() == pytest.approx(0.9 * MARGIN)


def test_what_is_left_is_spent_in_the_time_of_the_thread(work: Work) -> None:
    cost = FailureCost("usual", 0.02)
    work.seconds = 7.015
    cost.spend(7.0)
    spent = work.seconds - 7
    assert 0.02 * MARGIN <= spent < 0.021 * MARGIN
    # Now nothing is left.
    cost.spend(7.0)
    assert work.seconds - 7 == spent
