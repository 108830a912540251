"""The keys over time: made at the first start, rotated by age, shared by all nodes through the store."""

from __future__ import annotations

import json

from server.clock import Clock
from server.errors import StoreRefused
from server.store.protocol import SigningKeyStore
from server.store.records import SigningKeyRecord
from server.tokens.keyring import Keyring
from server.tokens.keys import SigningKey, VerificationKey, dump, generate, load, public_jwk, secret_kid
from server.tokens.sealing import MasterKey

DAY_MS = 86_400_000
# The JWKS may be cached for 5 minutes, and other nodes read the keys each minute: by then all of them know the next
# key.
PUBLISH_AHEAD_MS = 600_000
RELOAD_INTERVAL_SECONDS = 5.0


class KeyService:
    """Holds the current keyring and keeps it current."""

    def __init__(
        self,
        *,
        store: SigningKeyStore,
        master_key: MasterKey,
        algorithm: str,
        secret: str,
        access_ttl_seconds: int,
        rotate_every_days: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._master_key = master_key
        self._algorithm = algorithm
        self._access_ttl_seconds = access_ttl_seconds
        self._rotate_every_ms = rotate_every_days * DAY_MS
        self._clock = clock
        self._secret = _secret_key(secret) if algorithm == "HS256" else None
        self._loaded: dict[str, SigningKey] = {}
        self._reloaded_at = clock.monotonic()
        self.keyring = self._view([])

    async def load(self) -> None:
        """Read the keys; make the first one of the algorithm. Raises StoreRefused if the master key is wrong."""
        await self._read()
        if self._secret is None and self.keyring.latest_record() is None:
            await self._store.add_signing_key(self._new_key(self._clock.now_ms()), None)
            await self._read()
        for record in self.keyring.records:
            self._private(record)

    async def maintain(self) -> None:
        """Learn other nodes' keys, make the next key when it is due, forget spent ones. To be called each minute."""
        await self._read()
        now = self._clock.now_ms()
        latest = self.keyring.latest_record()
        if latest is not None and latest.activates_at + self._rotate_every_ms <= now:
            await self._store.add_signing_key(self._new_key(now + PUBLISH_AHEAD_MS), latest.kid)
        for record in self.keyring.spent(now):
            await self._store.delete_signing_key(record.kid)
            self._loaded.pop(record.kid, None)
        await self._read()

    async def maybe_reload(self) -> bool:
        """Read the keys again for a token with an unknown key; False if that was done a moment ago."""
        now = self._clock.monotonic()
        if now - self._reloaded_at < RELOAD_INTERVAL_SECONDS:
            return False
        self._reloaded_at = now
        await self._read()
        return True

    def signing_key(self) -> SigningKey:
        """The key that signs now."""
        if self._secret is not None:
            return self._secret
        record = self.keyring.signing_record(self._clock.now_ms())
        if record is None:
            raise StoreRefused("the signing keys are gone from the store; restart to make new ones")
        return self._private(record)

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        return self.keyring.verification_key(kid, now_ms)

    def _private(self, record: SigningKeyRecord) -> SigningKey:
        if record.kid not in self._loaded:
            private = load(self._master_key.unseal(record.sealed_private_key, record.kid))
            self._loaded[record.kid] = SigningKey(record.kid, record.algorithm, private)
        return self._loaded[record.kid]

    def _new_key(self, activates_at: int) -> SigningKeyRecord:
        private = generate(self._algorithm)
        jwk = public_jwk(private, self._algorithm)
        return SigningKeyRecord(
            kid=jwk["kid"],
            algorithm=self._algorithm,
            public_jwk=json.dumps(jwk, separators=(",", ":")),
            sealed_private_key=self._master_key.seal(dump(private), jwk["kid"]),
            created_at=self._clock.now_ms(),
            activates_at=activates_at,
        )

    async def _read(self) -> None:
        # HS256 publishes no key and believes none but its secret.
        self.keyring = self._view([] if self._secret else await self._store.list_signing_keys())

    def _view(self, records: list[SigningKeyRecord]) -> Keyring:
        return Keyring(
            records, algorithm=self._algorithm, access_ttl_seconds=self._access_ttl_seconds, secret=self._secret
        )


def _secret_key(secret: str) -> SigningKey:
    material = secret.encode("utf-8")
    return SigningKey(secret_kid(material), "HS256", material)
