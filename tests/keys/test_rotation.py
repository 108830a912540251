from __future__ import annotations

import itertools
import random
from dataclasses import replace
from functools import partial

import pytest

from server.keys import rotation
from server.keys.errors import RotationUnderWay
from server.keys.keyring import LEEWAY_MS, KeyState
from server.keys.model import KeyRecord
from server.keys.rotation import WHEN_ASKED, RotationPolicy
from tests.forging import record, signing_key

NOW = 1_000_000_000
DAY = 86_400_000
AHEAD = 600_000
TTL_SECONDS = 300
LIFE = TTL_SECONDS * 1000 + LEEWAY_MS
POLICY = RotationPolicy("ES256", TTL_SECONDS, 30 * DAY, AHEAD)
SECRET, OTHER_SECRET = signing_key("HS256"), signing_key("HS256", 2)
SHARED = replace(POLICY, algorithm="HS256", secrets=[SECRET, OTHER_SECRET])


NUMBERS = itertools.count(100_000)


def maker(now: int) -> rotation.MakeKey:
    """Makes keys at that time, each another one."""

    def make(algorithm: str, activates_at: int) -> KeyRecord:
        if algorithm == "HS256":
            return record(SECRET, activates_at, TTL_SECONDS, created_at=now)
        key = signing_key(algorithm)
        return record(key, activates_at, TTL_SECONDS, created_at=now, kid=f"key {next(NUMBERS)}")

    return make


# By a clock that is steady.
kept_up = partial(rotation.kept_up, steady=True)


def started(now: int = NOW, policy: RotationPolicy = POLICY) -> list[KeyRecord]:
    return rotation.started([], policy, now, maker(now))


def states(records: list[KeyRecord], now: int, policy: RotationPolicy = POLICY) -> list[str]:
    ring = policy.keyring(records)
    return [ring.state(one, now).value for one in ring.records]


def kids(records: list[KeyRecord]) -> list[str]:
    return [one.kid for one in records]


def test_the_first_start_makes_a_key_that_signs_and_one_that_is_next() -> None:
    records = started()
    assert states(records, NOW) == ["active", "next"]
    assert [one.activates_at for one in POLICY.keyring(records).records] == [NOW, NOW + 30 * DAY]
    assert rotation.started(records, POLICY, NOW + 1, maker(NOW + 1)) == records
    assert kept_up(records, POLICY, NOW + 1, maker(NOW + 1)) == records


def test_at_its_age_a_key_is_followed_by_the_next_and_another_one_is_made() -> None:
    records = started()
    later = NOW + 30 * DAY
    assert kept_up(records, POLICY, later - 1, maker(later - 1)) == records
    assert states(records, later) == ["retired", "active"]
    kept = kept_up(records, POLICY, later, maker(later))
    assert states(kept, later) == ["retired", "active", "next"]
    assert POLICY.keyring(kept).records[-1].activates_at == later + 30 * DAY
    assert kept_up(kept, POLICY, later + 1, maker(later + 1)) == kept


def test_a_retired_key_goes_when_its_last_token_has_expired_and_not_before() -> None:
    later = NOW + 30 * DAY
    records = kept_up(started(), POLICY, later, maker(later))
    assert kept_up(records, POLICY, later + LIFE - 1, maker(0)) == records
    kept = kept_up(records, POLICY, later + LIFE, maker(0))
    assert kids(kept) == kids(records)[1:]


def test_after_a_long_pause_the_next_key_is_still_published_ahead() -> None:
    """A server that was off for years: what it makes then does not sign before others know it."""
    later = NOW + 100 * DAY
    kept = kept_up(started(), POLICY, later, maker(later))
    assert states(kept, later) == ["active", "next"]
    assert POLICY.keyring(kept).records[-1].activates_at == later + AHEAD


def test_without_rotation_by_age_the_next_key_waits_until_it_is_asked_for() -> None:
    policy = replace(POLICY, rotate_every_ms=0)
    records = started(policy=policy)
    assert [one.activates_at for one in policy.keyring(records).records] == [NOW, WHEN_ASKED]
    later = NOW + 10_000 * DAY
    assert kept_up(records, policy, later, maker(later)) == records
    rotated = rotation.rotated(records, policy, later, maker(later))
    assert states(rotated, later, policy) == ["retired", "active", "next"]


def test_a_changed_setting_moves_the_next_key() -> None:
    records = started()
    for days, expected in ((10, NOW + 10 * DAY), (0, WHEN_ASKED), (30, NOW + 30 * DAY)):
        policy = replace(POLICY, rotate_every_ms=days * DAY)
        records = kept_up(records, policy, NOW + DAY, maker(NOW))
        assert policy.keyring(records).records[-1].activates_at == expected
    short = replace(POLICY, rotate_every_ms=1)
    kept = kept_up(records, short, NOW + 1, maker(NOW))
    assert short.keyring(kept).records[-1].activates_at == NOW + AHEAD


YEARS = 2 * 365 * DAY


def test_keys_of_a_clock_that_was_years_ahead_rotate_by_age_from_now_on() -> None:
    made = started(NOW + YEARS)
    first, second = kids(made)
    # A server that starts does not know yet whether its clock is right; the first key signs all the same.
    assert rotation.started(made, POLICY, NOW, maker(NOW)) == made
    assert states(made, NOW) == ["active", "next"]
    records = kept_up(made, POLICY, NOW, maker(NOW))
    assert [one.kid for one in POLICY.keyring(records).records] == [first, second]
    assert [(one.activates_at, one.created_at) for one in POLICY.keyring(records).records] == [
        (NOW, NOW),
        (NOW + 30 * DAY, NOW),
    ]
    assert states(records, NOW) == ["active", "next"]
    assert kept_up(records, POLICY, NOW + 1, maker(NOW + 1)) == records
    later = NOW + 30 * DAY
    records = kept_up(records, POLICY, later, maker(later))
    assert states(records, later) == ["retired", "active", "next"]
    assert POLICY.keyring(records).signing_record(later) == POLICY.keyring(records).records[1]


@pytest.mark.parametrize("step", [YEARS, DAY, -DAY, -YEARS])
def test_by_a_clock_that_is_wrong_for_a_moment_no_key_is_lost(step: int) -> None:
    """Neither in a server that runs nor in one that starts then: afterwards the same key signs."""
    records = started()
    kids_before, wrong = kids(records), NOW + 3 * 60_000 + step
    for minute in range(3):
        records = rotation.started(records, POLICY, wrong, maker(wrong))
        records = rotation.kept_up(records, POLICY, wrong + minute * 60_000, maker(wrong), steady=False)
    right = NOW + 6 * 60_000
    assert POLICY.keyring(records).signing_record(right).kid == kids_before[0]  # type: ignore[union-attr]
    assert set(kids_before) <= POLICY.keyring(records).accepted(right)


def test_keys_that_were_made_while_the_clock_was_ahead_for_a_while_do_not_wait_for_that_time() -> None:
    records = started()
    ahead = NOW + YEARS
    for now in (ahead, ahead + DAY, NOW + DAY):
        records = kept_up(records, POLICY, now, maker(now))
    ring = POLICY.keyring(records)
    assert ring.signing_record(NOW + DAY) == ring.records[0]
    # What signs and what is next, however many were made meanwhile: each a rotation behind the one before.
    for place, one in enumerate(ring.records):
        assert one.activates_at <= NOW + DAY + place * 30 * DAY
    now = NOW + DAY
    for _ in range(6):
        now += 30 * DAY
        records = kept_up(records, POLICY, now, maker(now))
        assert states(records, now).count("active") == 1
    # Each signs for a month, and none comes back.
    assert len(records) == 3
    assert max(one.activates_at for one in records) == now + 30 * DAY


def test_keys_of_a_clock_that_was_far_behind_go_on_at_once() -> None:
    records = started(0)
    records = rotation.started(records, POLICY, NOW + YEARS, maker(NOW + YEARS))
    now = NOW + YEARS
    assert states(records, now).count("active") == 1
    assert states(records, now)[-1] == "next"
    assert POLICY.keyring(records).chain()[-1].activates_at == now + AHEAD


def test_a_key_of_a_node_whose_clock_is_a_little_ahead_stays_as_it_is() -> None:
    made = started(NOW + LEEWAY_MS)
    assert kept_up(made, POLICY, NOW, maker(NOW)) == made


@pytest.mark.parametrize("days", [1, 0])
def test_other_rules_hold_for_keys_of_a_clock_that_was_ahead_too(days: int) -> None:
    policy = replace(POLICY, rotate_every_ms=days * DAY)
    records = kept_up(started(NOW + YEARS), policy, NOW, maker(NOW))
    assert POLICY.keyring(records).records[1].activates_at == (NOW + DAY if days else WHEN_ASKED)
    asked = rotation.rotated(records, policy, NOW, maker(NOW))
    assert POLICY.keyring(asked).records[1].activates_at == NOW + AHEAD
    gone = rotation.revoked(records, kids(records)[0], policy, NOW, maker(NOW))
    assert POLICY.keyring(gone).signing_record(NOW + 1) == POLICY.keyring(gone).chain()[0]


def test_a_rotation_that_is_asked_for_takes_effect_when_every_cache_knows_the_next_key() -> None:
    records = started()
    young = rotation.rotated(records, POLICY, NOW + 1000, maker(NOW + 1000))
    assert [one.activates_at for one in POLICY.keyring(young).records][:2] == [NOW, NOW + AHEAD]
    later = NOW + DAY
    old = rotation.rotated(records, POLICY, later, maker(later))
    assert states(old, later) == ["retired", "active", "next"]
    assert POLICY.keyring(old).records[-1].activates_at == later + 30 * DAY


def test_a_rotation_under_way_is_not_begun_again_but_can_be_hurried() -> None:
    records = rotation.rotated(started(), POLICY, NOW + 1000, maker(NOW + 1000))
    with pytest.raises(RotationUnderWay) as found:
        rotation.rotated(records, POLICY, NOW + 2000, maker(NOW + 2000))
    assert found.value.at == NOW + AHEAD
    hurried = rotation.rotated(records, POLICY, NOW + 2000, maker(NOW + 2000), at_once=True)
    assert states(hurried, NOW + 2000) == ["retired", "active", "next"]
    assert kids(hurried) == kids(records)


def test_rotations_in_one_millisecond_do_not_tie() -> None:
    records = started()
    for _ in range(3):
        records = rotation.rotated(records, POLICY, NOW, maker(NOW), at_once=True)
    ring = POLICY.keyring(records)
    times = [one.activates_at for one in ring.records]
    assert len(set(times)) == len(times)


def test_keeping_up_does_not_undo_a_rotation_that_waits_for_caches() -> None:
    records = rotation.rotated(started(), POLICY, NOW + 1000, maker(NOW + 1000))
    assert kept_up(records, POLICY, NOW + 2000, maker(NOW + 2000)) == records


def test_of_a_revoked_key_nothing_stays_but_its_name_and_the_next_one_signs_at_once() -> None:
    records = started()
    active, waiting = POLICY.keyring(records).records
    kept = rotation.revoked(records, active.kid, POLICY, NOW + 5, maker(NOW + 5))
    assert states(kept, NOW + 5) == ["revoked", "active", "next"]
    gone, signs, _ = POLICY.keyring(kept).records
    assert (gone.kid, gone.sealed, gone.revoked_at) == (active.kid, b"", NOW + 5)
    assert (signs.kid, signs.activates_at) == (waiting.kid, NOW + 5)
    assert rotation.revoked(kept, active.kid, POLICY, NOW + 6, maker(NOW + 6)) == kept
    # The name goes when no token of that key could have been good any more.
    assert active.kid in kids(kept_up(kept, POLICY, NOW + 5 + LIFE - 1, maker(0)))
    assert active.kid not in kids(kept_up(kept, POLICY, NOW + 5 + LIFE, maker(0)))


def test_revoking_the_key_that_signs_does_not_bring_a_retired_one_back() -> None:
    later = NOW + DAY
    records = rotation.rotated(started(), POLICY, later, maker(later))
    retired, active, waiting = POLICY.keyring(records).records
    kept = rotation.revoked(records, active.kid, POLICY, later + 1, maker(later + 1))
    assert states(kept, later + 1) == ["retired", "revoked", "active", "next"]
    signing = POLICY.keyring(kept).signing_record(later + 1)
    assert signing is not None
    assert signing.kid == waiting.kid != retired.kid


def test_revoking_a_retired_or_a_next_key_leaves_the_one_that_signs() -> None:
    later = NOW + DAY
    records = rotation.rotated(started(), POLICY, later, maker(later))
    retired, active, waiting = POLICY.keyring(records).records
    without_old = rotation.revoked(records, retired.kid, POLICY, later, maker(later))
    assert states(without_old, later) == ["revoked", "active", "next"]
    without_next = rotation.revoked(records, waiting.kid, POLICY, later, maker(later))
    assert states(without_next, later) == ["retired", "active", "next"]
    assert waiting.kid not in kids(without_next)
    for kept in (without_old, without_next):
        signing = POLICY.keyring(kept).signing_record(later)
        assert signing is not None
        assert signing.kid == active.kid


@pytest.mark.parametrize("kid", ["", "unknown"])
def test_a_key_that_is_not_there_is_not_revoked(kid: str) -> None:
    with pytest.raises(KeyError):
        rotation.revoked(started(), kid, POLICY, NOW, maker(NOW))


def test_the_key_of_other_tokens_is_never_rotated_revoked_or_forgotten() -> None:
    derivation = KeyRecord("root", "HKDF", "", b"sealed", NOW, NOW)
    records = rotation.started([derivation], POLICY, NOW, maker(NOW))
    with pytest.raises(KeyError):
        rotation.revoked(records, "root", POLICY, NOW, maker(NOW))
    for now in (NOW, NOW + 31 * DAY, NOW + 1000 * DAY):
        records = kept_up(records, POLICY, now, maker(now))
        assert derivation in records


@pytest.mark.parametrize(
    ("before", "after"), [(POLICY, SHARED), (SHARED, POLICY), (POLICY, replace(POLICY, algorithm="EdDSA"))]
)
def test_another_algorithm_signs_from_the_start_on_and_what_was_signed_before_lives_out(
    before: RotationPolicy, after: RotationPolicy
) -> None:
    after = replace(after, secrets=SHARED.secrets)
    records = started(policy=before)
    later = NOW + DAY
    changed = rotation.started(records, after, later, maker(later))
    ring = after.keyring(changed)
    signing = ring.signing_record(later)
    assert ring.signing_secret() is not None if after.algorithm == "HS256" else signing is not None
    old = [one for one in ring.records if one.algorithm == before.algorithm]
    # The old algorithm's next key was never used, and never will be.
    assert [ring.state(one, later) for one in old] == [KeyState.RETIRED]
    assert ring.accepted_until(old[0]) == later + LIFE
    assert ring.verification_key(old[0].kid, later + LIFE - 1) is not None
    assert ring.verification_key(old[0].kid, later + LIFE) is None
    # And back again, before that is over: nothing that is retired signs.
    back = rotation.started(changed, replace(before, secrets=SHARED.secrets), later + 1000, maker(later + 1000))
    ring = replace(before, secrets=SHARED.secrets).keyring(back)
    for one in (found for found in ring.records if found.algorithm == after.algorithm):
        assert ring.accepted_until(one) == later + 1000 + LIFE
    if before.algorithm != "HS256":
        signing = ring.signing_record(later + 1000)
        assert signing is not None
        assert signing.activates_at == later + 1000


def test_with_a_shared_secret_nothing_rotates_by_itself() -> None:
    records = started(policy=SHARED)
    assert kids(records) == [SECRET.kid]
    for now in (NOW + DAY, NOW + 1000 * DAY):
        assert kept_up(records, SHARED, now, maker(now)) == records


def test_keys_note_the_longest_life_of_their_tokens_and_never_forget_it() -> None:
    longer = replace(POLICY, access_ttl_seconds=3600)
    records = kept_up(started(), longer, NOW + 1, maker(NOW + 1))
    assert {one.longest_ttl_seconds for one in records} == {3600}
    assert rotation.started(records, POLICY, NOW + 2, maker(NOW + 2)) == records


def test_a_command_with_other_settings_rotates_what_is_in_force() -> None:
    other = replace(POLICY, algorithm="EdDSA")
    assert rotation.in_force(started(), other, NOW).algorithm == "ES256"
    assert rotation.in_force([], other, NOW) == other
    assert rotation.in_force(started(policy=SHARED), POLICY, NOW).algorithm == "HS256"


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_one_key_signs_one_is_next_and_no_token_is_lost(seed: int) -> None:
    """Random rotations, revocations, restarts and waits; a token of each moment is believed until it expires."""
    chance = random.Random(seed)
    now = NOW
    records = rotation.started([], POLICY, now, maker(now))
    tokens: list[tuple[str, int]] = []
    for _ in range(60):
        now += chance.choice([1, 1000, 60_000, AHEAD, DAY, 40 * DAY])
        make = maker(now)
        choice = chance.randrange(5)
        if choice == 0:
            records = rotation.rotated(records, POLICY, now, make, at_once=True)
        elif choice == 1:
            revoked = chance.choice(POLICY.keyring(records).records).kid
            tokens = [token for token in tokens if token[0] != revoked]
            records = rotation.revoked(records, revoked, POLICY, now, make)
        elif choice == 2:
            records = rotation.started(records, POLICY, now, make)
        records = kept_up(records, POLICY, now, make)
        ring = POLICY.keyring(records)
        assert states(records, now).count("active") == 1
        assert states(records, now)[-1] == "next"
        assert len({one.kid for one in records}) == len(records)
        assert len(records) < 70
        signing = ring.signing_record(now)
        assert signing is not None
        tokens.append((signing.kid, now + TTL_SECONDS * 1000))
        for kid, expires_at in tokens:
            assert ring.verification_key(kid, now) is not None or expires_at <= now


def test_when_all_are_replaced_none_of_the_old_keys_signs_or_is_next() -> None:
    rotated = rotation.rotated(started(), POLICY, NOW + DAY, maker(NOW + DAY), at_once=True)
    # A rotation is under way: two keys wait.
    before = rotation.rotated(rotated, POLICY, NOW + DAY + 1, maker(NOW + DAY + 1))
    now = NOW + DAY + 2
    assert states(before, now) == ["retired", "active", "next", "next"]
    after = rotation.all_replaced(before, POLICY, now, maker(now))
    assert states(after, now) == ["revoked", "revoked", "active", "next"]
    assert all(one.revoked_at == now and one.sealed == b"" for one in after if one.kid in kids(before))
    new = [one for one in POLICY.keyring(after).records if one.kid not in kids(before)]
    assert [one.activates_at for one in new] == [now, now + 30 * DAY]
    assert POLICY.keyring(after).jwks(now) == POLICY.keyring(new).jwks(now)


def test_when_all_are_replaced_a_key_that_was_revoked_or_is_spent_is_no_obstacle() -> None:
    records = rotation.rotated(started(), POLICY, NOW + 1, maker(NOW + 1), at_once=True)
    records = rotation.revoked(records, POLICY.keyring(records).chain()[1].kid, POLICY, NOW + 2, maker(NOW + 2))
    now = NOW + 2 + LIFE
    after = rotation.all_replaced(records, POLICY, now, maker(now))
    assert set(states(after, now)) == {"revoked", "active", "next"}
    assert not set(kids(records)) & {one.kid for one in POLICY.keyring(after).chain()}


def test_when_all_are_replaced_the_secrets_of_the_settings_stay() -> None:
    records = rotation.started(started(), SHARED, NOW + 1, maker(NOW + 1))
    after = rotation.all_replaced(records, SHARED, NOW + 2, maker(NOW + 2))
    assert {one.algorithm for one in after if one.revoked_at is None} == {"HS256"}
    assert SHARED.keyring(after).verification_key(SECRET.kid, NOW + 2) is not None


def test_when_there_is_no_key_none_is_replaced() -> None:
    assert rotation.all_replaced([], POLICY, NOW, maker(NOW)) == []
