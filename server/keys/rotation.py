"""The life of the keys: made, scheduled, rotated, revoked, deleted. Pure functions: records and a time in, records out.

    next ──activates_at──► active ──the next one's activates_at──► retired ──its last token has expired──► gone
      └───────────────────────┴──────────── keys revoke ─────────────┴──► revoked ──────────────────────► gone

There is always a next key. It is published as soon as it exists. So verifiers know it long before it signs, and an
operator can rotate at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from server.keys.derivation import DERIVATION
from server.keys.errors import RotationUnderWay
from server.keys.key_material import SigningKey
from server.keys.keyring import LEEWAY_MS, Keyring, KeyState
from server.keys.model import KeyRecord
from watchword_client.keys import SHARED

# The `activates_at` of a key that waits for an operator: the largest integer that every JSON parser reads exactly.
WHEN_ASKED = 2**53 - 1


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """The settings about keys. With `rotate_every_ms` 0, keys do not rotate by age. `secrets` are those of HS256."""

    algorithm: str
    access_ttl_seconds: int
    rotate_every_ms: int
    publish_ahead_ms: int
    secrets: Sequence[SigningKey] = ()

    def keyring(self, records: Sequence[KeyRecord]) -> Keyring:
        """A keyring of these records."""
        return Keyring(records, algorithm=self.algorithm, secrets=self.secrets)

    def follows_at(self, activates_at: int, created_at: int) -> int:
        """When a key made at `created_at` begins to sign, if the one before it signs from `activates_at` on."""
        if self.rotate_every_ms == 0 or activates_at >= WHEN_ASKED:
            return WHEN_ASKED
        return max(activates_at + self.rotate_every_ms, created_at + self.publish_ahead_ms)


# Makes a key; the arguments are its algorithm and its `activates_at`.
MakeKey = Callable[[str, int], KeyRecord]


def started(records: Sequence[KeyRecord], policy: RotationPolicy, now: int, make: MakeKey) -> list[KeyRecord]:
    """The keys at the start of a server: a key of the configured algorithm signs, and another one is next.

    If the algorithm in the settings has changed, its key signs at once, without waiting for caches of the JWKS.
    """
    others_next = [
        record
        for record in records
        if record.algorithm not in (policy.algorithm, DERIVATION) and record.activates_at > now
    ]
    kept = [record for record in records if record not in others_next]
    ring = policy.keyring(kept)
    last = [record for record in ring.records if record.activates_at <= now and record.revoked_at is None]
    if policy.algorithm == SHARED:
        return sorted_keys(_shared_active(kept, policy, now, make, last[-1] if last else None))
    # If all begin in the future, as by a clock that is behind, the first one signs all the same.
    if not ring.chain() or (last and last[-1].algorithm != policy.algorithm):
        chain = [record for record in ring.chain() if record.activates_at > now]
        kept = _replaced(kept, chain[0], activates_at=now) if chain else [*kept, make(policy.algorithm, now)]
    return kept_up(kept, policy, now, make, steady=False)


def _shared_active(
    records: Sequence[KeyRecord], policy: RotationPolicy, now: int, make: MakeKey, last: KeyRecord | None
) -> list[KeyRecord]:
    """The keys with HS256: a record says since when the first secret signs, so the keys before it can expire."""
    first = policy.secrets[0].kid
    known = [record for record in records if record.kid == first]
    if last is not None and last.kid == first:
        return _with_ttl(records, policy, now)
    if known:
        return _replaced(records, known[0], activates_at=now)
    return [*records, make(policy.algorithm, now)]


def kept_up(
    records: Sequence[KeyRecord], policy: RotationPolicy, now: int, make: MakeKey, *, steady: bool
) -> list[KeyRecord]:
    """The keys after regular maintenance: after the signing key a next one is scheduled.

    By a `steady` clock (core/clock.py) expired ones are gone, and those of another time are corrected. A clock that is
    wrong for a moment must not decide that: tokens of good keys would be refused when it is right again.
    """
    kept = list(records)
    if steady:
        kept = _without_spent(_of_this_time(kept, policy, now), policy, now)
    kept = _with_ttl(kept, policy, now)
    if policy.algorithm == SHARED:
        return sorted_keys(kept)
    chain = policy.keyring(kept).chain()
    if not chain:
        kept.append(make(policy.algorithm, now))
        chain = kept[-1:]
    if chain[-1].activates_at <= now:
        kept.append(make(policy.algorithm, policy.follows_at(chain[-1].activates_at, now)))
    else:
        kept = _rescheduled(kept, chain, policy, now)
    return sorted_keys(kept)


def _rescheduled(
    records: Sequence[KeyRecord], chain: Sequence[KeyRecord], policy: RotationPolicy, now: int
) -> list[KeyRecord]:
    """Schedule the waiting keys again, since the settings or the clock may have changed; a requested rotation stays."""
    kept, before = list(records), chain[0].activates_at
    for record in chain[1:]:
        at = record.activates_at
        if at > now:
            due = policy.follows_at(before, record.created_at)
            at = due if record is chain[-1] else min(at, due)
            kept = _replaced(kept, record, activates_at=at)
        before = at
    return kept


def _of_this_time(records: Sequence[KeyRecord], policy: RotationPolicy, now: int) -> list[KeyRecord]:
    """Correct keys that were made while the clock was ahead: they count as made now, or they would rotate too late.

    If the first of them would sign only in the future, it signs from now on. Derivation keys stay as they are, since
    their order has a meaning.
    """
    kept = [
        replace(record, created_at=now)
        if record.algorithm != DERIVATION and record.created_at > now + LEEWAY_MS
        else record
        for record in records
    ]
    chain = policy.keyring(kept).chain()
    if chain and chain[0].activates_at > now + LEEWAY_MS:
        kept = _replaced(kept, chain[0], activates_at=now)
    return kept


def rotated(
    records: Sequence[KeyRecord], policy: RotationPolicy, now: int, make: MakeKey, *, at_once: bool = False
) -> list[KeyRecord]:
    """The keys after an operator's rotation: the next key signs once every cache of the JWKS has it; one follows it.

    With `at_once` it does not wait for caches. Raises RotationUnderWay.
    """
    kept = kept_up(_of_this_time(records, policy, now), policy, now, make, steady=False)
    waiting = [record for record in policy.keyring(kept).chain() if record.activates_at > now]
    if len(waiting) > 1 and not at_once:
        raise RotationUnderWay(waiting[0].activates_at)
    ready_at = now if at_once else max(now, waiting[0].created_at + policy.publish_ahead_ms)
    activates_at = max(ready_at, _earliest(kept, now))
    kept = _replaced(kept, waiting[0], activates_at=activates_at)
    if len(waiting) == 1:
        kept.append(make(policy.algorithm, policy.follows_at(activates_at, now)))
    return sorted_keys(kept)


def revoked(records: Sequence[KeyRecord], kid: str, policy: RotationPolicy, now: int, make: MakeKey) -> list[KeyRecord]:
    """The keys after one was revoked: its private key is deleted, and if it was the signing key, the next one signs.

    A key that has not signed yet is deleted as a whole. Raises KeyError if there is no such key.
    """
    record = {record.kid: record for record in records if record.algorithm != DERIVATION}[kid]
    if record.revoked_at is not None:
        return list(records)
    state = policy.keyring(records).state(record, now)
    if state is KeyState.NEXT:
        return kept_up([other for other in records if other != record], policy, now, make, steady=False)
    kept = _replaced(records, record, sealed=b"", revoked_at=now)
    if state is KeyState.ACTIVE:
        waiting = [other for other in policy.keyring(kept).chain() if other.activates_at > now]
        signs_from = _earliest(kept, now)
        kept = (
            _replaced(kept, waiting[0], activates_at=signs_from)
            if waiting
            else [*kept, make(policy.algorithm, signs_from)]
        )
    return kept_up(kept, policy, now, make, steady=False)


def all_replaced(records: Sequence[KeyRecord], policy: RotationPolicy, now: int, make: MakeKey) -> list[KeyRecord]:
    """The keys after all key pairs were revoked, since an attacker may have them: new ones sign and are next."""
    kept = list(records)
    # The last one first: otherwise revoking the signing key would make the next one sign.
    for record in reversed(policy.keyring(records).records):
        if record.algorithm != SHARED and any(other.kid == record.kid for other in kept):
            kept = revoked(kept, record.kid, policy, now, make)
    return kept


def in_force(records: Sequence[KeyRecord], policy: RotationPolicy, now: int) -> RotationPolicy:
    """The policy with the algorithm that signs now, since a command may have other settings than the server."""
    active = [record for record in policy.keyring(records).records if record.activates_at <= now]
    return replace(policy, algorithm=active[-1].algorithm) if active else policy


def sorted_keys(records: Sequence[KeyRecord]) -> list[KeyRecord]:
    """The keys in the order in which the store returns them."""
    return sorted(records, key=lambda record: (record.created_at, record.kid))


def _without_spent(records: Sequence[KeyRecord], policy: RotationPolicy, now: int) -> list[KeyRecord]:
    ring = policy.keyring(records)
    ends = {record.kid: ring.accepted_until(record) for record in ring.records}
    return [record for record in records if (end := ends.get(record.kid)) is None or end > now]


def _with_ttl(records: Sequence[KeyRecord], policy: RotationPolicy, now: int) -> list[KeyRecord]:
    """Note in the active and next keys how long their tokens live at most, since the setting may be lowered later."""
    ring = policy.keyring(records)
    signing = {record.kid for record in ring.records if ring.state(record, now) in {KeyState.ACTIVE, KeyState.NEXT}}
    return [
        replace(record, longest_ttl_seconds=max(record.longest_ttl_seconds, policy.access_ttl_seconds))
        if record.kid in signing
        else record
        for record in records
    ]


def _earliest(records: Sequence[KeyRecord], now: int) -> int:
    """The earliest `activates_at` for a key that shall sign now: later than those of all keys that have begun."""
    return max([now, *(record.activates_at + 1 for record in records if record.activates_at <= now)])


def _replaced(records: Sequence[KeyRecord], old: KeyRecord, **changes: object) -> list[KeyRecord]:
    return [replace(record, **changes) if record == old else record for record in records]  # type: ignore[arg-type]
