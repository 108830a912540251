"""Custody of the server's own keys: it holds the master key, and the secrets that it has opened with it.

All of this changes on the event loop alone. A thread that makes keys gets the master key of the moment (making.py),
which never changes: another one takes its place here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.core.errors import StoreRefused
from server.keys.derivation import derivations, of_audit, of_tokens
from server.keys.key_material import SigningKey, load
from server.keys.model import KeyRecord
from server.keys.sealing import MasterKey, derive


class Custody:
    """Opens sealed keys, and keeps what is asked for again. `read_master_key` reads the master key of today."""

    def __init__(self, read_master_key: Callable[[], MasterKey]) -> None:
        self._read_master_key = read_master_key
        self._master_key = read_master_key()
        self._signing_keys: dict[str, SigningKey] = {}
        self._token_keys: dict[str, bytes] = {}
        self._token_keys_of = ""

    @property
    def master_key(self) -> MasterKey:
        """The one that is known."""
        return self._master_key

    def read_master_key(self) -> None:
        """Take the master key of today. Raises StoreRefused if it can't be read."""
        self._master_key = self._read_master_key()

    def require_master_key(self, records: Sequence[KeyRecord]) -> None:
        """Raise StoreRefused if the master key of today is not that of the store: what it sealed, nobody could open."""
        for record in derivations(records):
            self._unseal(record)

    def signing_key(self, record: KeyRecord) -> SigningKey:
        """The private key. Raises StoreRefused if it can't be opened."""
        if record.kid not in self._signing_keys:
            private = load(self._unseal(record))
            self._signing_keys[record.kid] = SigningKey(record.kid, record.algorithm, private)
        return self._signing_keys[record.kid]

    def keep_only(self, kids: frozenset[str]) -> None:
        """Forget the private keys of all others."""
        self._signing_keys = {kid: key for kid, key in self._signing_keys.items() if kid in kids}

    def token_key(self, records: Sequence[KeyRecord], purpose: str) -> bytes:
        """The key for tokens of one purpose. Raises StoreRefused if it can't be opened."""
        record = of_tokens(records)
        if record.kid != self._token_keys_of:
            self._token_keys, self._token_keys_of = {}, record.kid
        if purpose not in self._token_keys:
            self._token_keys[purpose] = derive(self._unseal(record), purpose)
        return self._token_keys[purpose]

    def audit_key(self, records: Sequence[KeyRecord]) -> bytes:
        """What audit records are linked under. Raises StoreRefused if it can't be opened."""
        return derive(self._unseal(of_audit(records)), "audit log")

    def _unseal(self, record: KeyRecord) -> bytes:
        """By the master key that is known, or else by the one of today."""
        try:
            return self._master_key.unseal(record.sealed, record.kid)
        except StoreRefused:
            self.read_master_key()
            return self._master_key.unseal(record.sealed, record.kid)
