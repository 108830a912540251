"""The master key, which seals the server's own keys in the store, and keys that are derived from another."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.core.errors import StoreRefused
from server.core.ids import Ids

_VERSION = b"\x01"
_NONCE_LENGTH = 12
_KEY_LENGTH = 32


def derive(material: bytes, purpose: str, size: int = _KEY_LENGTH) -> bytes:
    """A key for one purpose (HKDF, RFC 5869): the same each time, and independent of those for other purposes."""
    info = b"watchword " + purpose.encode("utf-8")
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(material)


class MasterKey:
    """Seals with the first of the configured texts, and opens what any of them has sealed.

    So a master key is changed without a moment at which something can't be opened: put the new one first, seal
    everything anew (`keys rewrap`), take the old one away.
    """

    def __init__(self, texts: Sequence[str], ids: Ids) -> None:
        self._ids = ids
        self._ciphers = [AESGCM(derive(text.encode("utf-8"), "seal private keys")) for text in texts]

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt (AES-256-GCM) for one place: `context` has to be the same when it is opened."""
        nonce = self._ids.random_bytes(_NONCE_LENGTH)
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, plaintext, _VERSION + context.encode("utf-8"))

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises StoreRefused if it was sealed under another master key, or altered."""
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, ciphertext, version + context.encode("utf-8"))
            except (InvalidTag, ValueError):
                continue
        raise StoreRefused(
            "the master key does not fit this store; set keys.master_key to the one it was made with, "
            "or restore the .key file beside the database"
        )
