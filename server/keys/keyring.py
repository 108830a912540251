"""Which key signs and which keys verify at a given time. Pure functions: records and a time in, keys out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server.keys.key_material import ASYMMETRIC, SigningKey
from server.keys.model import KeyRecord
from watchword_client.jwk import load_jwk
from watchword_client.keys import SHARED, VerificationKey

# How far the clocks of two nodes may differ.
LEEWAY_MS = 60_000


class KeyState(StrEnum):
    """The state of a key; see the diagram in rotation.py."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class _Entry:
    key: VerificationKey
    jwk: dict[str, Any]
    accepted_until: int | None


class Keyring:
    """All signing keys, and what each does at a given time.

    A key signs from its `activates_at` until that of its successor. It is published from its creation until the last
    token that it signed has expired. If the configured algorithm changes, the first key of the new algorithm is the
    successor of the last key of the old one. `secrets` are the HS256 secrets of the settings. With HS256 the first one
    signs and all verify. With another algorithm they verify until the last HS256 token has expired.
    """

    def __init__(self, records: Iterable[KeyRecord], *, algorithm: str, secrets: Sequence[SigningKey] = ()) -> None:
        self.records: Sequence[KeyRecord] = sorted(
            (record for record in records if record.algorithm in (*ASYMMETRIC, SHARED)), key=order
        )
        self._algorithm = algorithm
        self._secrets = {secret.kid: secret for secret in secrets}
        self._first_secret = secrets[0] if secrets else None
        self._entries = {
            record.kid: _entry(record, self.accepted_until(record))
            for record in self.records
            if record.algorithm in ASYMMETRIC and record.revoked_at is None
        }
        self._shared_until = self._secrets_accepted_until()

    def chain(self) -> list[KeyRecord]:
        """The keys of the configured algorithm that are not revoked, in the order in which they sign."""
        return [record for record in self.records if record.algorithm == self._algorithm and record.revoked_at is None]

    def signing_record(self, now_ms: int) -> KeyRecord | None:
        """The record of the key that signs now; None with HS256, or if there is no key.

        If no key is active yet, it is the first one: the clock of this node may be a little behind that of its maker.
        """
        if self._algorithm == SHARED:
            return None
        chain = self.chain()
        active = [record for record in chain if record.activates_at <= now_ms]
        return active[-1] if active else next(iter(chain), None)

    def signing_secret(self) -> SigningKey | None:
        """The HS256 secret that signs; None with another algorithm."""
        return self._first_secret if self._algorithm == SHARED else None

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        secret = self._secrets.get(kid)
        if secret is not None:
            believed = self._shared_until is None or now_ms < self._shared_until
            return VerificationKey(kid, secret.algorithm, secret.material) if believed else None
        entry = self._entries.get(kid)
        if entry is None or (entry.accepted_until is not None and entry.accepted_until <= now_ms):
            return None
        return entry.key

    def accepted(self, now_ms: int) -> frozenset[str]:
        """The `kid`s of the key pairs whose tokens are accepted at that time."""
        return frozenset(kid for kid in self._entries if self.verification_key(kid, now_ms) is not None)

    def accepted_until(self, record: KeyRecord) -> int | None:
        """When its last token has expired on every node (epoch ms); None as long as the key has no successor."""
        end = record.revoked_at if record.revoked_at is not None else self._succeeded_at(record)
        return None if end is None else end + record.longest_ttl_seconds * 1000 + LEEWAY_MS

    def state(self, record: KeyRecord, now_ms: int) -> KeyState:
        """The state of a key at that time."""
        if record.revoked_at is not None:
            return KeyState.REVOKED
        if self._signs(record, now_ms):
            return KeyState.ACTIVE
        return KeyState.NEXT if record.activates_at > now_ms else KeyState.RETIRED

    def jwks(self, now_ms: int) -> dict[str, Any]:
        """The JWK Set (RFC 7517 section 5): the public keys that sign, will sign, or have tokens that may be valid."""
        return {
            "keys": [
                entry.jwk
                for entry in self._entries.values()
                if entry.accepted_until is None or entry.accepted_until > now_ms
            ]
        }

    def jwks_changes_at(self, now_ms: int) -> int | None:
        """When the next key expires and leaves the JWK Set (epoch ms); None if no key expires."""
        ends = [entry.accepted_until for entry in self._entries.values() if entry.accepted_until is not None]
        return min((end for end in ends if end > now_ms), default=None)

    def _signs(self, record: KeyRecord, now_ms: int) -> bool:
        if self._first_secret is not None and self._algorithm == SHARED:
            return record.kid == self._first_secret.kid
        return record == self.signing_record(now_ms)

    def _succeeded_at(self, record: KeyRecord) -> int | None:
        """When the successor of this key begins to sign (epoch ms); None if there is no successor."""
        for other in self.records:
            if other.algorithm != self._algorithm:
                continue
            later = order(other) > order(record)
            if later if record.algorithm == self._algorithm else other.activates_at >= record.activates_at:
                return other.activates_at
        return None

    def _secrets_accepted_until(self) -> int | None:
        """Until when HS256 tokens are accepted (epoch ms). None means always; 0 if HS256 never signed here."""
        if self._algorithm == SHARED:
            return None
        ends = [self.accepted_until(record) for record in self.records if record.kid in self._secrets]
        # If no key of the configured algorithm exists, the start that makes it has not ended yet.
        return max((end for end in ends if end is not None), default=0)


def order(record: KeyRecord) -> tuple[int, str]:
    """The sort key by which one signing key follows another."""
    return record.activates_at, record.kid


def _entry(record: KeyRecord, accepted_until: int | None) -> _Entry:
    jwk = json.loads(record.public_jwk)
    return _Entry(load_jwk(jwk), jwk, accepted_until)
