"""The chain of the audit log: the hash of each row covers its content and the hash of the row before it.

The hash is an HMAC under a key that is not in the database in the clear. So whoever can write there, but has no master
key, can neither alter, insert nor leave out a row without breaking the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import fields, replace

from server.audit.model import AuditRecord

# All but the hash.
_COLUMNS = [column.name for column in fields(AuditRecord)][:-1]
# The hash before the first row.
START = ""


class AuditChain:
    """Makes and checks the links."""

    def __init__(self, key: bytes) -> None:
        # Begun here and continued on a copy for each link, as in keys/opaque.py.
        self._hmac = hmac.new(key, b"watchword audit log\0", hashlib.sha256)

    def link(self, previous: str, values: Sequence[str | int | None]) -> str:
        """The hash of a row: `values` are all its columns but the hash, in the order of AuditRecord."""
        # A JSON array in ASCII: no two different rows are written alike.
        text = json.dumps([previous, *values], separators=(",", ":"))
        continued = self._hmac.copy()
        continued.update(text.encode("ascii"))
        return continued.hexdigest()

    def linked(self, previous: str, record: AuditRecord) -> AuditRecord:
        """The record with its hash, to stand right behind the one with the hash `previous`."""
        return replace(record, hash=self.link(previous, _values(record)))

    def holds(self, previous: str, record: AuditRecord) -> bool:
        """Whether a row is as it was written, right behind the one with that hash."""
        expected = self.link(previous, _values(record))
        return hmac.compare_digest(expected, record.hash.encode("ascii", "replace").decode())


def _values(record: AuditRecord) -> list[str | int | None]:
    return [getattr(record, column) for column in _COLUMNS]
