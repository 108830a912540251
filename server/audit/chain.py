"""The chain of the audit log: the hash of each row covers its content and the hash of the row before it.

The hash is an HMAC, and its key is in the database only in encrypted form. So an attacker who can write to the database
but has no master key can't alter, insert or remove a row without breaking the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import fields, replace

from server.audit.model import AuditRecord

# All columns but the last one, the hash.
_COLUMNS = [column.name for column in fields(AuditRecord)][:-1]
# The hash that the first row is linked to.
START = ""


class AuditChain:
    """Computes and checks the hashes of rows."""

    def __init__(self, key: bytes) -> None:
        # The common beginning; each link continues a copy of it, as in core/opaque_tokens.py.
        self._hmac = hmac.new(key, b"watchword audit log\0", hashlib.sha256)

    def link(self, previous: str, values: Sequence[str | int | None]) -> str:
        """The hash of a row (hexadecimal). `values` are its columns without the hash, in the order of AuditRecord."""
        # A JSON array, since no two different rows have the same one.
        text = json.dumps([previous, *values], separators=(",", ":"))
        continued = self._hmac.copy()
        continued.update(text.encode("ascii"))
        return continued.hexdigest()

    def linked(self, previous: str, record: AuditRecord) -> AuditRecord:
        """The record with its hash set; `previous` is the hash of the record before it."""
        return replace(record, hash=self.link(previous, _values(record)))

    def holds(self, previous: str, record: AuditRecord) -> bool:
        """Whether the record was not altered and follows the one with the hash `previous`."""
        expected = self.link(previous, _values(record))
        return hmac.compare_digest(expected, record.hash.encode("ascii", "replace").decode())


def _values(record: AuditRecord) -> list[str | int | None]:
    return [getattr(record, column) for column in _COLUMNS]
