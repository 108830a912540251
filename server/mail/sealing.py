"""Seals what waits in the store to be mailed: it holds links and codes, and whoever reads the store must not get in.

AES-256-GCM under a key that is derived from the current key of tokens. So after `keys replace` nobody can read what was
sealed before; what it was good for is not valid any more either.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.core.ids import Ids

_VERSION = b"\x01"
_NONCE_LENGTH = 12


class Unreadable(ValueError):
    """It was sealed under another key or for something else, or was altered."""


class Seal:
    """Seals and opens with one key. It may be used in any thread."""

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


class Sealing:
    """The seal under the current key, which `key` returns (it may raise StoreUnavailable). For the event loop alone."""

    def __init__(self, key: Callable[[], bytes], ids: Ids) -> None:
        self._key_of_today = key
        self._ids = ids
        self._key = b""
        self._seal: Seal | None = None

    def current(self) -> Seal:
        """The seal of this moment, for a transaction that may run in another thread. Raises StoreUnavailable."""
        key = self._key_of_today()
        if self._seal is None or key != self._key:
            self._key, self._seal = key, Seal(key, self._ids)
        return self._seal
