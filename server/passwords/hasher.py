"""Password hashes: `$bcrypt-sha256$`, as libpass defines it, for all that are made here; others are verified too.

bcrypt alone reads 72 bytes and stops at a NUL. bcrypt-sha256 puts HMAC-SHA-256 before it, so passwords of any length
and script count whole. What other systems have made is in foreign.py.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable

import structlog
from passlib.hash import bcrypt_sha256

from server.passwords import foreign
from server.passwords.failure_cost import FailureCost

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
        self._own_kind = foreign.kind_of(self._dummy) or ""
        self._failure_cost = FailureCost(self._own_kind, time.thread_time() - started)

    def hash(self, password: str) -> str:
        """A hash with a new salt. The password is one that the policy has accepted."""
        text: str = self._own.hash(normalised(password))
        return text

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password of that hash.

        None, what is no hash, and a password longer than any that can be set are False. False costs the same, whatever
        there was to compare (failure_cost.py); only the first check of a kind dearer than all before takes its own
        time.
        """
        started = time.thread_time()
        matches = self._matches(password, password_hash)
        if not matches:
            self._failure_cost.spend(started)
        return matches

    def learn(self, password_hashes: Iterable[str]) -> None:
        """Find out what a check of each kind among these costs, unless that is known."""
        for password_hash in password_hashes:
            kind = foreign.kind_of(password_hash)
            if kind is not None and not self._failure_cost.knows(kind):
                self._matches("", password_hash)

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether a hash is of a lower cost, or not of the kind that is made here."""
        if not password_hash.startswith(_OWN_PREFIX):
            return True
        return int(bcrypt_sha256.from_string(password_hash).rounds) < self._cost

    def _matches(self, password: str, password_hash: str | None) -> bool:
        raw = normalised(password)
        kind = foreign.kind_of(password_hash) if password_hash is not None and len(raw) <= MAXIMUM_BYTES else None
        if password_hash is not None and kind is not None:
            started = time.thread_time()
            try:
                if password_hash.startswith(_OWN_PREFIX):
                    matches = bool(bcrypt_sha256.verify(raw, password_hash))
                else:
                    matches = foreign.matches(password.encode("utf-8"), password_hash)
            except (ValueError, TypeError):
                # Not a hash, or not a password that it could be of.
                pass
            except Exception as error:  # noqa: BLE001 - a hash in the store must not be able to fail a request
                _log.warning("a password hash could not be checked", reason=type(error).__name__)
            else:
                self._failure_cost.learn(kind, time.thread_time() - started)
                return matches
        started = time.thread_time()
        self._own.verify(raw[:MAXIMUM_BYTES], self._dummy)
        self._failure_cost.learn(self._own_kind, time.thread_time() - started)
        return False


def normalised(password: str) -> bytes:
    """NFKC: the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
