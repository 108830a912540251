"""Makes new keys and seals them at once. It has no state that changes, so it is safe on a thread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.core.ids import Ids
from server.keys.derivation import DERIVATION_BYTES, new_derivation
from server.keys.key_material import dump, generate, public_jwk
from server.keys.model import KeyRecord
from server.keys.rotation import RotationPolicy
from server.keys.sealing import MasterKey
from watchword_client.keys import SHARED


@dataclass(frozen=True, slots=True)
class KeyMaker:
    """Makes keys with `now` (epoch ms) as their time of creation, sealed under one master key."""

    master_key: MasterKey
    policy: RotationPolicy
    ids: Ids
    now: int

    def signing(self, algorithm: str, activates_at: int) -> KeyRecord:
        """A key that signs from `activates_at` on. For HS256 the record only names the first secret of the settings."""
        ttl = self.policy.access_ttl_seconds
        if algorithm == SHARED:
            return KeyRecord(self.policy.secrets[0].kid, SHARED, "", b"", self.now, activates_at, ttl)
        private = generate(algorithm)
        jwk = public_jwk(private, algorithm)
        return KeyRecord(
            kid=jwk["kid"],
            algorithm=algorithm,
            public_jwk=json.dumps(jwk, separators=(",", ":")),
            sealed=self.master_key.seal(dump(private), jwk["kid"]),
            created_at=self.now,
            activates_at=activates_at,
            longest_ttl_seconds=ttl,
        )

    def derivation(self) -> KeyRecord:
        """A new derivation key (derivation.py)."""
        kid = self.ids.new_id()
        sealed = self.master_key.seal(self.ids.random_bytes(DERIVATION_BYTES), kid)
        return new_derivation(kid, sealed, self.now)

    def sealed_anew(self, records: Sequence[KeyRecord]) -> list[KeyRecord]:
        """The same keys, sealed under the first master key. Raises StoreRefused if one can't be opened."""
        return [
            replace(record, sealed=self.master_key.seal(self.master_key.unseal(record.sealed, record.kid), record.kid))
            if record.sealed
            else record
            for record in records
        ]
