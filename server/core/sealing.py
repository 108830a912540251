"""Seals what must not be read in the store: AES-256-GCM, with what it is for as its context."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.core.ids import Ids

_VERSION = b"\x01"
_NONCE_LENGTH = 12


class Unreadable(ValueError):
    """It was sealed under another key or for something else, or was altered."""


class Seal:
    """Seals and opens with one key of 32 bytes. It may be used in any thread."""

    def __init__(self, key: bytes, ids: Ids) -> None:
        self._cipher = AESGCM(key)
        self._ids = ids

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt. `context` is authenticated with it, so `unseal` needs the same one."""
        nonce = self._ids.random_bytes(_NONCE_LENGTH)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _VERSION + context.encode("utf-8"))

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """The plaintext. Raises Unreadable."""
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, version + context.encode("utf-8"))
        except (InvalidTag, ValueError):
            raise Unreadable from None
