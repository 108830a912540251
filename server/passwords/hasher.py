"""Makes password hashes of the kind `$bcrypt-sha256$` of libpass, and checks these and other kinds.

bcrypt alone reads only 72 bytes and stops at a NUL. bcrypt-sha256 applies HMAC-SHA-256 first, so all characters of a
password count. foreign.py has the hashes of other systems.
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
# The limit of libpass.
MAXIMUM_BYTES = 4096
# At most so many kinds are learned at the start: some libraries vary the rounds, so each user may have another kind.
LEARNED_KINDS = 16

_log = structlog.get_logger("watchword.passwords")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """`dummy` is the hash that the password of an unknown user is compared with. The result is ignored."""

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

    @property
    def usual_seconds(self) -> float:
        """About how long a hash of this cost takes, for who has not measured one."""
        return float(0.25 * 2 ** (self._cost - 12))

    def prepare(self) -> _Prepared:
        """Make what `verify` needs, which costs a hash. `verify` calls it if nobody has called it before."""
        with self._preparing:
            if self._prepared is None:
                # At its first hash libpass tests bcrypt. This must not be in the measured time.
                bcrypt_sha256.using(rounds=4).hash("")
                started = time.thread_time()
                dummy = self._own.hash("no user has this password")
                kind = foreign.kind_of(dummy) or ""
                self._prepared = _Prepared(dummy, kind, FailureCost(kind, time.thread_time() - started))
            return self._prepared

    def hash(self, password: str) -> str:
        """A hash with a new salt. The policy has to accept the password first."""
        text: str = self._own.hash(normalised(password))
        return text

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password fits the hash. False if there is no hash, no valid hash, or the password is too long.

        False always costs the same time, whatever the hash is (failure_cost.py). Only the first check of a kind that is
        more expensive than all before takes longer.
        """
        prepared = self.prepare()
        started = time.thread_time()
        matches = self._matches(prepared, password, password_hash)
        if not matches:
            prepared.failure_cost.spend(started)
        return matches

    def unknown_kinds(self, password_hashes: Iterable[str]) -> list[str]:
        """One hash of each kind whose cost is unknown, but not more than LEARNED_KINDS."""
        failure_cost = self.prepare().failure_cost
        kinds = {foreign.kind_of(password_hash): password_hash for password_hash in password_hashes}
        unknown = [one for kind, one in kinds.items() if kind is not None and not failure_cost.knows(kind)]
        return unknown[:LEARNED_KINDS]

    def learn(self, password_hash: str) -> None:
        """Measure what a check of this kind costs. It checks twice, since the first check may take longer."""
        for _ in range(2):
            self._matches(self.prepare(), "", password_hash)

    def needs_renewal(self, password_hash: str) -> bool:
        """Whether the hash has a lower cost or another kind than new hashes."""
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
                # This is no hash, or the password can't be hashed in this way.
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
    """The password in NFKC, so other keyboards give the same bytes (NIST SP 800-63B-4, 3.1.1.2), in UTF-8."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
