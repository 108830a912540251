"""Password hashes: `$bcrypt-sha256$`, as libpass defines it, for all that are made here; others are verified too.

bcrypt alone reads 72 bytes and stops at a NUL. bcrypt-sha256 puts HMAC-SHA-256 before it, so passwords of any length
and script count whole. What other systems have made is in foreign.py.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from passlib.hash import bcrypt_sha256

from server.passwords import foreign
from server.passwords.failure_cost import FailureCost

_OWN_PREFIX = "$bcrypt-sha256$v=2,"
# What libpass takes at most.
MAXIMUM_BYTES = 4096
# Some libraries vary the rounds from hash to hash, so there may be as many kinds as users.
LEARNED_KINDS = 16

_log = structlog.get_logger("watchword.passwords")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """`dummy` is what an unknown user's password is compared with; the outcome is not looked at."""

    dummy: str
    kind: str
    failure_cost: FailureCost


class Hasher:
    """Makes and checks hashes of one cost. Slow by design: call it on a HashPool."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._own = bcrypt_sha256.using(rounds=cost)
        self._preparing = threading.Lock()
        self._prepared: _Prepared | None = None

    def prepare(self) -> _Prepared:
        """What `verify` needs, at the cost of a hash. Done by `verify` itself if it was not done before."""
        with self._preparing:
            if self._prepared is None:
                # libpass tries bcrypt out at its first hash, which must not count below.
                bcrypt_sha256.using(rounds=4).hash("")
                started = time.thread_time()
                dummy = self._own.hash("no user has this password")
                kind = foreign.kind_of(dummy) or ""
                self._prepared = _Prepared(dummy, kind, FailureCost(kind, time.thread_time() - started))
            return self._prepared

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
        prepared = self.prepare()
        started = time.thread_time()
        matches = self._matches(prepared, password, password_hash)
        if not matches:
            prepared.failure_cost.spend(started)
        return matches

    def unknown_kinds(self, password_hashes: Iterable[str]) -> list[str]:
        """One of these for each kind whose cost is not known, and not more than a server can look at when it starts."""
        failure_cost = self.prepare().failure_cost
        kinds = {foreign.kind_of(password_hash): password_hash for password_hash in password_hashes}
        unknown = [one for kind, one in kinds.items() if kind is not None and not failure_cost.knows(kind)]
        return unknown[:LEARNED_KINDS]

    def learn(self, password_hash: str) -> None:
        """Find out what a check of this kind costs. Twice, since the first of a kind may take longer."""
        for _ in range(2):
            self._matches(self.prepare(), "", password_hash)

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether a hash is of a lower cost, or not of the kind that is made here."""
        if not password_hash.startswith(_OWN_PREFIX):
            return True
        return int(bcrypt_sha256.from_string(password_hash).rounds) < self._cost

    def _matches(self, prepared: _Prepared, password: str, password_hash: str | None) -> bool:
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
                prepared.failure_cost.learn(kind, time.thread_time() - started)
                return matches
        started = time.thread_time()
        self._own.verify(raw[:MAXIMUM_BYTES], prepared.dummy)
        prepared.failure_cost.learn(prepared.kind, time.thread_time() - started)
        return False


def normalised(password: str) -> bytes:
    """NFKC: the same characters typed on another keyboard are the same password (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
