"""The master key, which encrypts the server's own keys in the store, and the derivation of keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.core.errors import StoreRefused
from server.core.ids import Ids
from server.core.sealing import Seal, Unreadable
from server.keys.model import KeyRecord

_KEY_LENGTH = 32


def derive(material: bytes, purpose: str, size: int = _KEY_LENGTH) -> bytes:
    """A key for one purpose (HKDF, RFC 5869): always the same one, and independent of the keys for other purposes."""
    info = b"watchword " + purpose.encode("utf-8")
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(material)


class MasterKey:
    """Seals with the first of the configured keys, and opens what any of them has sealed.

    So the master key can be changed while the server runs: put the new one first, seal all keys again (`keys rewrap`),
    then remove the old one.
    """

    def __init__(self, texts: Sequence[str], ids: Ids) -> None:
        self._seals = [Seal(derive(text.encode("utf-8"), "seal private keys"), ids) for text in texts]

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt. `context` is authenticated with it, so `unseal` needs the same one."""
        return self._seals[0].seal(plaintext, context)

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The plaintext. Raises StoreRefused if it was sealed under another master key or context, or altered."""
        for seal in self._seals:
            with suppress(Unreadable):
                return seal.unseal(sealed, context)
        raise StoreRefused(
            "the master key does not fit this store; set keys.master_key to the one it was made with, "
            "or restore the .key file beside the database"
        )

    def require_opens(self, records: Iterable[KeyRecord], refusal: str | None = None) -> None:
        """Raise StoreRefused, with that message if there is one, unless it opens each record that is sealed."""
        for record in records:
            try:
                if record.sealed:
                    self.unseal(record.sealed, record.kid)
            except StoreRefused:
                if refusal is None:
                    raise
                raise StoreRefused(refusal) from None
