"""The master key: what seals private keys in the store, and what other keys are derived from."""

from __future__ import annotations

import base64
import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import StoreRefused
from server.ids import Ids

_VERSION = b"\x01"
_NONCE_LENGTH = 12
_KEY_LENGTH = 32


class MasterKey:
    """Keys for each purpose, all from one configured text (HKDF, RFC 5869)."""

    def __init__(self, text: str, ids: Ids) -> None:
        self._material = text.encode("utf-8")
        self._ids = ids
        self._cipher = AESGCM(self.derive("seal private keys"))

    def derive(self, purpose: str, size: int = _KEY_LENGTH) -> bytes:
        """A key for one purpose: the same each time, and independent of those for other purposes."""
        info = b"watchword " + purpose.encode("utf-8")
        return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(self._material)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt (AES-256-GCM) for one place: `context` has to be the same when it is opened."""
        nonce = self._ids.random_bytes(_NONCE_LENGTH)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _VERSION + context.encode("utf-8"))

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises StoreRefused if it was sealed under another master key, or altered."""
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, version + context.encode("utf-8"))
        except (InvalidTag, ValueError):
            raise StoreRefused(
                "the master key does not fit this store; set keys.master_key to the one it was made with, "
                "or restore the .key file beside the database"
            ) from None


def load_or_make_master_key_file(path: Path, ids: Ids) -> str:
    """The master key beside a SQLite store, made at the first start. Two processes that start at once agree on one.

    Raises StoreRefused if the file can be read by others, or is not a key.
    """
    if not path.exists():
        # Not the process id: in a container it is the same at every start, and a draft may be left of one that died.
        draft = path.with_name(f"{path.name}.{ids.random_bytes(8).hex()}")
        _make(path, draft, base64.b64encode(ids.random_bytes(_KEY_LENGTH)) + b"\n")
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StoreRefused(f"{path} can be read by other users; run: chmod 600 {path}")
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise StoreRefused(f"{path} can't be read as a master key; restore it from a backup") from None
    if len(text) < _KEY_LENGTH:
        raise StoreRefused(f"{path} does not hold a master key; restore it from a backup")
    return text


def _make(path: Path, draft: Path, content: bytes) -> None:
    """Write it whole before it gets its name, and keep the name if another process was faster."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
