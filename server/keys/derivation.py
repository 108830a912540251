"""The keys that others are derived from, in the order of their making. Pure: records in, records out.

The first one is the audit log's for good, so that the log stays one chain. Tokens are made with keys of the one that is
not revoked: the first one too, until `keys replace` has made another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.keys.model import KeyRecord

DERIVATION = "HKDF"
DERIVATION_BYTES = 32


def derivations(records: Sequence[KeyRecord]) -> list[KeyRecord]:
    """Those among the keys of the store."""
    return [record for record in records if record.algorithm == DERIVATION]


def of_audit(records: Sequence[KeyRecord]) -> KeyRecord:
    """The one that the audit log's key is derived from."""
    return derivations(records)[0]


def of_tokens(records: Sequence[KeyRecord]) -> KeyRecord:
    """The one that refresh and reset tokens and device cookies are made with."""
    return next(record for record in derivations(records) if record.revoked_at is None)


def new_derivation(kid: str, sealed: bytes, created_at: int) -> KeyRecord:
    """A record of one that was just made."""
    return KeyRecord(kid, DERIVATION, "", sealed, created_at, created_at)


def succeeded(records: Sequence[KeyRecord], new: KeyRecord, now: int) -> list[KeyRecord]:
    """Tokens are made with `new` from now on; of those before it only the audit log's stays."""
    first = of_audit(records)
    kept = [record for record in records if record.algorithm != DERIVATION]
    # Behind the first one whatever the clock says: the order tells which one the audit log has.
    created_at = max(new.created_at, first.created_at + 1)
    return [*kept, replace(first, revoked_at=first.revoked_at or now), replace(new, created_at=created_at)]
