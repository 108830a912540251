"""Custody of the server's own keys: holds the master key, and the keys that were opened with it.

Only the event loop changes this state. A thread that makes keys (making.py) gets a MasterKey object, which is
immutable; after a change of the master key there is a new object here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.core.errors import StoreRefused
from server.core.ids import Ids
from server.keys.derivation import audit_root, root_keys, token_root
from server.keys.key_material import SigningKey, load
from server.keys.master_key_file import master_key_file
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.sealing import MasterKey, derive
from server.settings import Settings
from server.settings.secrets import texts


async def open_custody(keys: KeyRepository, settings: Settings, ids: Ids) -> Custody:
    """The custody under the master key of the settings, or of the file beside the SQLite store.

    A missing file is made only if no key of the store is sealed yet. Raises StoreRefused, StoreUnavailable.
    """
    file = master_key_file(settings, ids)
    if file is not None and file.is_missing and not any(record.sealed for record in await keys.list_keys()):
        file.make()
    return Custody(lambda: MasterKey(texts(settings.keys.master_key) if file is None else file.read(), ids))


class Custody:
    """Opens sealed keys and keeps the opened ones. `read_master_key` reads the current master key."""

    def __init__(self, read_master_key: Callable[[], MasterKey]) -> None:
        self._read_master_key = read_master_key
        self._master_key = read_master_key()
        self._signing_keys: dict[str, SigningKey] = {}
        self._token_keys: dict[str, bytes] = {}
        self._token_keys_of = ""

    @property
    def master_key(self) -> MasterKey:
        """The master key as it was read last."""
        return self._master_key

    def read_master_key(self) -> None:
        """Read the master key again. Raises StoreRefused if it can't be read."""
        self._master_key = self._read_master_key()

    def require_master_key(self, records: Sequence[KeyRecord]) -> None:
        """Raise StoreRefused if the master key does not open the keys of the store: then it must not seal new ones."""
        for record in root_keys(records):
            self._unseal(record)

    def signing_key(self, record: KeyRecord) -> SigningKey:
        """The private key. Raises StoreRefused if it can't be opened."""
        if record.kid not in self._signing_keys:
            private = load(self._unseal(record))
            self._signing_keys[record.kid] = SigningKey(record.kid, record.algorithm, private)
        return self._signing_keys[record.kid]

    def keep_only(self, kids: frozenset[str]) -> None:
        """Forget all private keys but these."""
        self._signing_keys = {kid: key for kid, key in self._signing_keys.items() if kid in kids}

    def token_key(self, records: Sequence[KeyRecord], purpose: str) -> bytes:
        """The key for tokens of one purpose. Raises StoreRefused if it can't be opened."""
        record = token_root(records)
        if record.kid != self._token_keys_of:
            self._token_keys, self._token_keys_of = {}, record.kid
        if purpose not in self._token_keys:
            self._token_keys[purpose] = derive(self._unseal(record), purpose)
        return self._token_keys[purpose]

    def audit_key(self, records: Sequence[KeyRecord]) -> bytes:
        """The HMAC key that links audit records. Raises StoreRefused if it can't be opened."""
        return derive(self._unseal(audit_root(records)), "audit log")

    def _unseal(self, record: KeyRecord) -> bytes:
        """Open a key. If the known master key does not fit, read the master key again: it may have been changed."""
        try:
            return self._master_key.unseal(record.sealed, record.kid)
        except StoreRefused:
            self.read_master_key()
            return self._master_key.unseal(record.sealed, record.kid)
