"""Password hashes: `$bcrypt-sha256$`, as libpass defines it, for all that are made here; others are verified too.

bcrypt alone reads 72 bytes and stops at a NUL. bcrypt-sha256 puts HMAC-SHA-256 before it, so passwords of any length
and script count whole. What other systems have made is in foreign.py.
"""

from __future__ import annotations

import hashlib
import time
import unicodedata

import structlog
from passlib.hash import bcrypt_sha256

from server.passwords import foreign

_OWN_PREFIX = "$bcrypt-sha256$v=2,"
# What libpass takes at most.
MAXIMUM_BYTES = 4096


_log = structlog.get_logger("watchword.passwords")


class Hasher:
    """Makes and checks hashes of one cost. Slow by design: call it on a HashPool."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._own = bcrypt_sha256.using(rounds=cost)
        # libpass tries bcrypt out at its first hash, which must not count below.
        bcrypt_sha256.using(rounds=4).hash("")
        started = time.thread_time()
        # What an unknown user's password is compared with. The outcome is not looked at.
        self._dummy: str = self._own.hash("no user has this password")
        # What a hash of ours costs, in seconds of a core: a moving average.
        self._own_seconds = time.thread_time() - started

    def hash(self, password: str) -> str:
        """A hash with a new salt. The password is one that the policy has accepted."""
        text: str = self._own.hash(normalised(password))
        return text

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password of that hash.

        None, what is no hash, and a password longer than any that can be set cost as much as a hash of ours and are
        False. So does a wrong password for a cheaper hash. For a dearer one it takes that one's time, which tells that
        the account was imported and its owner has not logged in yet.
        """
        raw = normalised(password)
        if password_hash is not None and len(raw) <= MAXIMUM_BYTES and foreign.cost_problem(password_hash) is None:
            try:
                return self._compare(password, raw, password_hash)
            except (ValueError, TypeError):
                # Not a hash, or not a password that it could be of.
                pass
            except Exception as error:  # noqa: BLE001 - a hash in the store must not be able to fail a request
                _log.warning("a password hash could not be checked", reason=type(error).__name__)
        self._compare_with_dummy(raw[:MAXIMUM_BYTES])
        return False

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether a hash is of a lower cost, or not of the kind that is made here."""
        if not password_hash.startswith(_OWN_PREFIX):
            return True
        return int(bcrypt_sha256.from_string(password_hash).rounds) < self._cost

    def _compare(self, password: str, raw: bytes, password_hash: str) -> bool:
        started = time.thread_time()
        if password_hash.startswith(_OWN_PREFIX):
            matches = bool(bcrypt_sha256.verify(raw, password_hash))
        else:
            matches = foreign.matches(password.encode("utf-8"), password_hash)
        # The right password costs a hash besides: it is renewed.
        if not matches and self.needs_renewal(password_hash):
            self._spend_until(started + self._own_seconds)
        return matches

    def _compare_with_dummy(self, raw: bytes) -> None:
        started = time.thread_time()
        self._own.verify(raw, self._dummy)
        self._own_seconds += (time.thread_time() - started - self._own_seconds) / 8

    def _spend_until(self, thread_time: float) -> None:
        """Go on computing. By the thread's own time, since a busy machine would make up for the wall's too soon."""
        while time.thread_time() < thread_time:
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1000)


def normalised(password: str) -> bytes:
    """NFKC: the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
