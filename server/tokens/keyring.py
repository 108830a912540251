"""Which key signs and which keys are believed, at a moment. Pure: records and a time in, keys out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from server.store.records import SigningKeyRecord
from server.tokens.keys import SigningKey, VerificationKey, public_key

LEEWAY_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Entry:
    record: SigningKeyRecord
    key: VerificationKey
    jwk: dict[str, str]
    accepted_until: int | None


class Keyring:
    """A view of the keys.

    A key signs from its `activates_at` until its successor's. It is published as soon as it exists, and until the last
    token that it signed has expired. When the configured algorithm was changed, the first key of the new one succeeds
    the last of the old one in the same way.
    """

    def __init__(
        self,
        records: Iterable[SigningKeyRecord],
        *,
        algorithm: str,
        access_ttl_seconds: int,
        secret: SigningKey | None = None,
    ) -> None:
        self._algorithm = algorithm
        self._secret = secret
        ordered = sorted(records, key=lambda record: (record.activates_at, record.kid))
        life = access_ttl_seconds * 1000 + LEEWAY_MS
        self._entries = {
            record.kid: _entry(record, _succeeded_at(record, ordered, algorithm), life) for record in ordered
        }
        self.records: Sequence[SigningKeyRecord] = ordered

    def signing_record(self, now_ms: int) -> SigningKeyRecord | None:
        """The record of the key that signs now; None with HS256.

        A node whose clock is a little behind the one that made the first key signs with it all the same.
        """
        same = [record for record in self.records if record.algorithm == self._algorithm]
        active = [record for record in same if record.activates_at <= now_ms]
        return active[-1] if active else next(iter(same), None)

    def latest_record(self) -> SigningKeyRecord | None:
        """The last key of the configured algorithm, whether it signs yet or not."""
        same = [record for record in self.records if record.algorithm == self._algorithm]
        return same[-1] if same else None

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        if self._secret is not None and kid == self._secret.kid:
            return VerificationKey(kid, self._secret.algorithm, self._secret.material)
        entry = self._entries.get(kid)
        if entry is None or (entry.accepted_until is not None and entry.accepted_until <= now_ms):
            return None
        return entry.key

    def spent(self, now_ms: int) -> list[SigningKeyRecord]:
        """Keys whose last token has expired."""
        return [
            entry.record
            for entry in self._entries.values()
            if entry.accepted_until is not None and entry.accepted_until <= now_ms
        ]

    def jwks(self, now_ms: int) -> dict[str, Any]:
        """The JWK Set (RFC 7517 section 5): public keys that sign, will sign, or did so lately."""
        return {
            "keys": [
                entry.jwk
                for entry in self._entries.values()
                if entry.accepted_until is None or entry.accepted_until > now_ms
            ]
        }


def _succeeded_at(record: SigningKeyRecord, ordered: Sequence[SigningKeyRecord], algorithm: str) -> int | None:
    """When another key took over; None if this is the last one."""
    if record.algorithm == algorithm:
        later = [
            other
            for other in ordered
            if other.algorithm == algorithm and (other.activates_at, other.kid) > (record.activates_at, record.kid)
        ]
    else:
        later = [
            other for other in ordered if other.algorithm == algorithm and other.activates_at >= record.activates_at
        ]
    return later[0].activates_at if later else None


def _entry(record: SigningKeyRecord, succeeded_at: int | None, life: int) -> _Entry:
    jwk = json.loads(record.public_jwk)
    key = VerificationKey(record.kid, record.algorithm, public_key(jwk))
    return _Entry(record, key, jwk, None if succeeded_at is None else succeeded_at + life)
