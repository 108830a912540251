from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.core.errors import StoreUnavailable
from server.core.ids import Ids, SystemRandomness
from server.sessions.model import MEMORY_MS, Revocation, RevocationPage
from server.sessions.revocation import TIDY_MS, Revocations
from server.settings.tree import TokenSettings
from tests.clock import FakeClock
from watchword_client.claims import AccessClaims

CLAIMS = AccessClaims(
    issuer="my-api",
    subject="lak",
    audience="my-api",
    issued_at=0,
    expires_at=300,
    jti="j",
    session_id="s1",
    role="customer",
    username="lak",
)


class Source:
    """What the store says, and how often it was asked."""

    def __init__(self) -> None:
        self.rows: list[Revocation] = []
        self.cursors: list[str] = []
        self.failures: list[Exception] = []
        self.whole = False

    async def revocations_since(self, cursor: str) -> RevocationPage:
        self.cursors.append(cursor)
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        rows, self.rows = self.rows, []
        return RevocationPage(str(len(self.cursors)), self.whole, False, rows)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def revocations(source: Source, clock: FakeClock) -> Revocations:
    return Revocations(source, clock, 300)


def ended(number: int, session_id: str, forget_at: int) -> Revocation:
    return Revocation(number, session_id, None, None, 0, forget_at)


def role(number: int, user_id: str, name: str, forget_at: int, changed_at: int = 0) -> Revocation:
    return Revocation(number, None, user_id, name, changed_at, forget_at)


async def test_a_session_that_has_ended_revokes_its_tokens_alone(revocations: Revocations, source: Source) -> None:
    assert not revocations.is_revoked(CLAIMS)
    source.rows = [ended(1, "s1", 10**15)]
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    assert not revocations.is_revoked(replace(CLAIMS, session_id="s2"))


async def test_a_role_that_is_not_the_users_any_more_revokes(revocations: Revocations, source: Source) -> None:
    source.rows = [role(1, "lak", "admin", 10**15)]
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    assert not revocations.is_revoked(replace(CLAIMS, role="admin"))
    assert not revocations.is_revoked(replace(CLAIMS, subject="sahan"))


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
async def test_the_latest_role_counts_whatever_the_order_of_reading(
    revocations: Revocations, source: Source, numbers: tuple[int, int]
) -> None:
    names = {1: "admin", 2: "customer"}
    for number in numbers:
        source.rows = [role(number, "lak", names[number], 10**15)]
        await revocations.refresh()
    assert not revocations.is_revoked(CLAIMS)
    assert revocations.is_revoked(replace(CLAIMS, role="admin"))


async def test_a_role_that_comes_back_does_not_bring_its_old_tokens_back(
    revocations: Revocations, source: Source, clock: FakeClock
) -> None:
    ids = Ids(clock, SystemRandomness())
    at = clock.now_ms()
    # Made before, at the change and later.
    before, same, after = (replace(CLAIMS, jti=ids.new_id(at + apart)) for apart in (-1, 0, 1))
    source.rows = [role(1, "lak", "admin", 10**15, at - 1), role(2, "lak", "customer", 10**15, at)]
    await revocations.refresh()
    assert [revocations.is_revoked(claims) for claims in (before, same, after)] == [True, False, False]


async def test_a_token_whose_id_tells_no_time_is_judged_by_its_second(revocations: Revocations, source: Source) -> None:
    source.rows = [role(1, "lak", "customer", 10**15, 5000)]
    await revocations.refresh()
    assert revocations.is_revoked(replace(CLAIMS, issued_at=4))
    assert not revocations.is_revoked(replace(CLAIMS, issued_at=5))


async def test_it_reads_on_from_where_it_was(revocations: Revocations, source: Source) -> None:
    for _ in range(3):
        await revocations.refresh()
    assert source.cursors == ["0", "1", "2"]


def test_the_memory_is_longer_than_the_longest_life_of_a_token() -> None:
    """Whatever the setting is: it may have been another one when the token was issued."""
    (longest,) = (
        bound.le for bound in TokenSettings.model_fields["access_ttl_seconds"].metadata if hasattr(bound, "le")
    )
    assert longest * 1000 < MEMORY_MS


async def test_reads_that_wait_share_the_next_one(revocations: Revocations, source: Source) -> None:
    await asyncio.gather(*(revocations.refresh() for _ in range(20)))
    # The first call's own, and one for all that came while it was under way.
    assert source.cursors == ["0", "1"]


async def test_nothing_is_forgotten_before_the_last_token_has_expired(
    revocations: Revocations, source: Source, clock: FakeClock
) -> None:
    until = clock.now_ms() + MEMORY_MS
    source.rows = [ended(1, "s1", until), role(2, "sahan", "admin", until)]
    await revocations.refresh()
    other = replace(CLAIMS, subject="sahan", session_id="s9")
    clock.advance((until - clock.now_ms() - 1) / 1000)
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    assert revocations.is_revoked(other)
    clock.advance(TIDY_MS / 1000)
    await revocations.refresh()
    assert not revocations.is_revoked(CLAIMS)
    assert not revocations.is_revoked(other)


async def test_a_clock_that_is_ahead_for_a_while_makes_nothing_forgotten(
    revocations: Revocations, source: Source, clock: FakeClock
) -> None:
    """Or a revoked token would come back when the clock is right, and nothing be forgotten until that time."""
    source.rows = [ended(1, "s1", clock.now_ms() + MEMORY_MS)]
    await revocations.refresh()
    years = 2 * 365 * 86_400
    clock.advance(700)
    clock.set_wall(years)
    for _ in range(9):
        await revocations.refresh()
        clock.advance(61)
    clock.set_wall(-years)
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    clock.advance(MEMORY_MS / 1000)
    await revocations.refresh()
    assert not revocations.is_revoked(CLAIMS)


async def test_by_a_clock_that_is_ahead_for_longer_nothing_is_forgotten_before_its_tokens_are_over(
    source: Source, clock: FakeClock
) -> None:
    """Tokens of an hour: one that was revoked is refused again once the clock is right."""
    revocations = Revocations(source, clock, 3600)
    source.rows = [ended(1, "s1", clock.now_ms() + MEMORY_MS)]
    await revocations.refresh()
    years = 2 * 365 * 86_400
    clock.set_wall(years)
    for _ in range(40):
        await revocations.refresh()
        clock.advance(61)
    clock.set_wall(-years)
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)


async def test_a_change_made_here_is_known_at_once_and_a_failure_is_left_to_following(
    revocations: Revocations, source: Source
) -> None:
    source.failures = [StoreUnavailable()]
    source.rows = [ended(1, "s1", 10**15)]
    await revocations.soon()
    assert not revocations.is_revoked(CLAIMS)
    await revocations.soon()
    assert revocations.is_revoked(CLAIMS)


async def test_a_store_that_took_over_and_lost_a_change_neither_brings_tokens_back_nor_refuses_new_ones(
    revocations: Revocations, source: Source, clock: FakeClock
) -> None:
    """A promoted standby: what it never got is lost, and it numbers on from where it was."""
    ids = Ids(clock, SystemRandomness())
    at = clock.now_ms()
    before, after = (replace(CLAIMS, session_id="s2", jti=ids.new_id(at + apart)) for apart in (-1, 1))
    source.rows = [ended(40, "s1", 10**15), role(41, "lak", "admin", 10**15, at), role(42, "ada", "admin", 10**15, at)]
    await revocations.refresh()
    assert revocations.is_revoked(after)

    # It has the role that lak had before, and a change of ada's from before the one that was lost.
    source.whole, source.rows = True, [role(30, "ada", "customer", 10**15, at - 10)]
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    for user in ("lak", "ada"):
        assert revocations.is_revoked(replace(before, subject=user))
        assert not revocations.is_revoked(replace(after, subject=user))
    assert revocations.is_revoked(replace(after, subject="ada", role="admin"))

    # Its next changes count, though their numbers are lower than those that were seen.
    source.whole, source.rows = (
        False,
        [role(31, "lak", "auditor", 10**15, at + 5), role(32, "ada", "x", 10**15, at + 5)],
    )
    await revocations.refresh()
    for user, now in (("lak", "auditor"), ("ada", "x")):
        later = replace(CLAIMS, session_id="s2", subject=user, jti=ids.new_id(at + 5))
        assert revocations.is_revoked(later)
        assert not revocations.is_revoked(replace(later, role=now))


async def test_all_that_is_read_anew_stands_in_place_of_what_was_known(
    revocations: Revocations, source: Source, clock: FakeClock
) -> None:
    source.rows = [role(7, "lak", "admin", 10**15, clock.now_ms())]
    await revocations.refresh()
    source.whole, source.rows = True, [role(7, "lak", "admin", 10**15, clock.now_ms())]
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
    source.whole, source.rows = True, [role(3, "lak", "customer", 10**15, clock.now_ms() + 1)]
    await revocations.refresh()
    assert not revocations.has_other_role(
        replace(CLAIMS, jti=Ids(clock, SystemRandomness()).new_id(clock.now_ms() + 1))
    )


async def test_a_change_is_answered_though_it_can_not_be_read_back_just_now(
    revocations: Revocations, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sessions.revocation.SOON_SECONDS", 0.01)
    answering = asyncio.Event()
    read = source.revocations_since

    async def hang(cursor: str) -> RevocationPage:
        await answering.wait()
        return await read(cursor)

    source.revocations_since = hang  # type: ignore[method-assign]
    await revocations.soon()
    source.rows = [ended(1, "s1", 10**15)]
    answering.set()
    await revocations.refresh()
    assert revocations.is_revoked(CLAIMS)
