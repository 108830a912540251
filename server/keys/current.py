"""The keys as this process knows them now: those that sign, that verify, that are published, and that make tokens."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

import orjson
import structlog

from server.core.clock import Clock
from server.core.errors import StoreRefused, StoreUnavailable
from server.keys.custody import Custody
from server.keys.derivation import token_root
from server.keys.key_material import SigningKey
from server.keys.keyring import Keyring
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import RotationPolicy
from watchword_client.encoding import encode_base64url
from watchword_client.keys import VerificationKey

# If a token names an unknown key, the keys are read again. If that finds nothing new, there is a pause of this time:
# tokens with invented keys must not make work. After a find there is none, since keys may change again at once.
RELOAD_INTERVAL_SECONDS = 1.0

_log = structlog.get_logger("watchword.keys")


class JwksDocument:
    """The bytes and their entity tag (RFC 9110 section 8.8.3), valid until a key expires at `changes_at` (epoch ms).

    Nor is it valid before it was made, if the clock is set back: a clock that was ahead for a moment has left out keys.
    """

    def __init__(self, body: bytes, made_at: int, changes_at: int | None) -> None:
        self.body = body
        self.etag = encode_base64url(hashlib.sha256(body).digest()[:12])
        self._made_at = made_at
        self._changes_at = changes_at

    def is_current(self, now_ms: int) -> bool:
        """Whether the same keys are accepted at that time."""
        return self._made_at <= now_ms and (self._changes_at is None or now_ms < self._changes_at)


class CurrentKeys:
    """The keys that were read last. It is the KeySource (watchword_client/token_verifier.py) of this server."""

    def __init__(self, repository: KeyRepository, custody: Custody, policy: RotationPolicy, clock: Clock) -> None:
        self._repository = repository
        self._custody = custody
        self._policy = policy
        self._clock = clock
        self._forget: list[Callable[[], None]] = []
        self._reloading: asyncio.Task[None] | None = None
        self._next_reload_at = clock.monotonic()
        self._accepted: frozenset[str] = frozenset()
        self._document: JwksDocument | None = None
        self.records: list[KeyRecord] = []
        self.keyring: Keyring = policy.keyring([])

    async def refresh(self) -> None:
        """Read the keys. Raises StoreUnavailable."""
        self._take(await self._repository.list_keys())

    async def reload(self) -> bool:
        """Read the keys again, since a token names an unknown one. False if a reload found nothing a moment ago.

        Calls during a reload wait for the same reading.
        """
        if self._reloading is None:
            if self._clock.monotonic() < self._next_reload_at:
                return False
            self._reloading = asyncio.create_task(self.refresh())
            self._reloading.add_done_callback(partial(self._reloaded, self.records))
        await asyncio.shield(self._reloading)
        return True

    def is_current(self) -> bool:
        """Always true: background.py reads the keys again whenever they change."""
        return True

    async def keep_current(self) -> None:
        """Does nothing: background.py reads the keys again whenever they change."""

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Register a function that is called when a key is revoked or expires."""
        self._forget.append(forget)

    async def close(self) -> None:
        """Does nothing: this source holds no connection."""

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        return self.keyring.verification_key(kid, now_ms)

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises StoreUnavailable if there is none or it can't be opened."""
        secret = self.keyring.signing_secret()
        if secret is not None:
            return secret
        record = self.keyring.signing_record(self._clock.now_ms())
        if record is None:
            _log.error("there is no key to sign with; restart to make one")
            raise StoreUnavailable
        try:
            return self._custody.signing_key(record)
        except StoreRefused as error:
            _log.error("the signing key can't be opened", kid=record.kid, reason=str(error))
            raise StoreUnavailable from None

    def token_key(self, purpose: str) -> bytes:
        """The current key for tokens of one purpose. `keys rewrap` does not change it, `keys replace` does.

        Raises StoreUnavailable if it can't be opened.
        """
        try:
            return self._custody.token_key(self.records, purpose)
        except StoreRefused as error:
            kid = token_root(self.records).kid
            _log.error("the key that tokens are made with can't be opened", kid=kid, reason=str(error))
            raise StoreUnavailable from None

    def jwks(self) -> JwksDocument:
        """The JWK Set that is published now. It is built again only when it changes."""
        now = self._clock.now_ms()
        if self._document is None or not self._document.is_current(now):
            body = orjson.dumps(self.keyring.jwks(now))
            self._document = JwksDocument(body, now, self.keyring.jwks_changes_at(now))
        return self._document

    def _reloaded(self, before: list[KeyRecord], task: asyncio.Task[None]) -> None:
        self._reloading = None
        if self.records is before:
            self._next_reload_at = self._clock.monotonic() + RELOAD_INTERVAL_SECONDS
        if not task.cancelled():
            # Retrieve the exception, since the caller that waited may have left.
            task.exception()

    def _take(self, records: list[KeyRecord]) -> None:
        if records != self.records:
            self.records = records
            self.keyring = self._policy.keyring(records)
            self._document = None
        accepted = self.keyring.accepted(self._clock.now_ms())
        if self._accepted - accepted:
            self._custody.keep_only(accepted)
            for forget in self._forget:
                forget()
        self._accepted = accepted
