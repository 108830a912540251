"""The keys that other keys are derived from, in the order of their creation. Pure functions: records in, records out.

The key of the audit log is always derived from the first one, so the log stays one chain. The keys of tokens are
derived from the one that is not revoked. This is also the first one, until `keys replace` makes another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.keys.model import KeyRecord

DERIVATION = "HKDF"
DERIVATION_BYTES = 32


def root_keys(records: Sequence[KeyRecord]) -> list[KeyRecord]:
    """The derivation keys among all keys of the store, in their order."""
    return [record for record in records if record.algorithm == DERIVATION]


def audit_root(records: Sequence[KeyRecord]) -> KeyRecord:
    """The derivation key of the audit log."""
    return root_keys(records)[0]


def token_root(records: Sequence[KeyRecord]) -> KeyRecord:
    """The derivation key of refresh tokens, reset tokens, invitation tokens and device cookies."""
    return next(record for record in root_keys(records) if record.revoked_at is None)


def new_derivation(kid: str, sealed: bytes, created_at: int) -> KeyRecord:
    """The record of a derivation key that was just made."""
    return KeyRecord(kid, DERIVATION, "", sealed, created_at, created_at)


def succeeded(records: Sequence[KeyRecord], new: KeyRecord, now: int) -> list[KeyRecord]:
    """The keys after `keys replace`: tokens use `new` from now on, and of the older ones only the audit log's stays."""
    first = audit_root(records)
    kept = [record for record in records if record.algorithm != DERIVATION]
    # Always later than the first one, even if the clock was set back: the order says which one the audit log uses.
    created_at = max(new.created_at, first.created_at + 1)
    return [*kept, replace(first, revoked_at=first.revoked_at or now), replace(new, created_at=created_at)]
