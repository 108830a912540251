"""Password hashes: `$bcrypt-sha256$`, as libpass defines it, for all that are made here; plain bcrypt is verified too.

bcrypt alone reads 72 bytes and stops at a NUL. bcrypt-sha256 puts HMAC-SHA-256 before it, so passwords of any length
and script count whole.
"""

from __future__ import annotations

import unicodedata

from passlib.hash import bcrypt, bcrypt_sha256

_BCRYPT_BYTES = 72
_PLAIN_PREFIXES = ("$2a$", "$2b$", "$2y$")
_OWN_PREFIX = "$bcrypt-sha256$"
# What libpass takes at most.
MAXIMUM_BYTES = 4096


class Hasher:
    """Makes and checks hashes of one cost. Slow by design: call it on a HashPool."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._own = bcrypt_sha256.using(rounds=cost)
        # What an unknown user's password is compared with. The outcome is not looked at.
        self._dummy: str = self._own.hash("no user has this password")

    def hash(self, password: str) -> str:
        """A hash with a new salt. The password is one that the policy has accepted."""
        text: str = self._own.hash(normalised(password))
        return text

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password of that hash.

        None, what is no hash, and a password longer than any that can be set cost as much and are False.
        """
        raw = normalised(password)
        if password_hash is not None and len(raw) <= MAXIMUM_BYTES:
            try:
                return self._compare(password, raw, password_hash)
            except (ValueError, TypeError):
                # Not a hash: it costs what one costs all the same.
                pass
        self._own.verify(raw[:MAXIMUM_BYTES], self._dummy)
        return False

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether a hash is of a lower cost, or not of the kind that is made here."""
        if not password_hash.startswith(_OWN_PREFIX):
            return True
        return int(bcrypt_sha256.from_string(password_hash).rounds) < self._cost

    def _compare(self, password: str, raw: bytes, password_hash: str) -> bool:
        if password_hash.startswith(_PLAIN_PREFIXES):
            # As the libraries that made such hashes did: the bytes as they came, cut at 72.
            return bool(bcrypt.verify(password.encode("utf-8")[:_BCRYPT_BYTES], password_hash))
        return bool(bcrypt_sha256.verify(raw, password_hash))


def normalised(password: str) -> bytes:
    """NFKC: the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
