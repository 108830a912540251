"""The keys as this process knows them now: what signs, what verifies, what is published, what tokens are made with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import structlog

from server.core.clock import Clock
from server.core.errors import StoreRefused, StoreUnavailable
from server.keys.custody import Custody
from server.keys.derivation import of_tokens
from server.keys.jwks_document import JwksDocument
from server.keys.key_material import SigningKey
from server.keys.keyring import Keyring
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import Rules
from watchword_client.keys import VerificationKey

# A token with an unknown key makes the keys be read again, at most so often.
RELOAD_INTERVAL_SECONDS = 1.0

_log = structlog.get_logger("watchword.keys")


class CurrentKeys:
    """What was read last, as a keyring. A KeySource of watchword_client/token_verifier.py."""

    def __init__(self, repository: KeyRepository, custody: Custody, rules: Rules, clock: Clock) -> None:
        self._repository = repository
        self._custody = custody
        self._rules = rules
        self._clock = clock
        self._forget: list[Callable[[], None]] = []
        self._reloading: asyncio.Task[None] | None = None
        self._reloaded_at = clock.monotonic()
        self._accepted: frozenset[str] = frozenset()
        self._document: JwksDocument | None = None
        self.records: list[KeyRecord] = []
        self.keyring: Keyring = rules.keyring([])

    async def refresh(self) -> None:
        """Read the keys. Raises StoreUnavailable."""
        self._take(await self._repository.list_keys())

    async def reload(self) -> bool:
        """Read the keys again for a token with an unknown key; False if that was done a moment ago.

        Calls that come while it is being done wait for the same reading.
        """
        if self._reloading is None:
            now = self._clock.monotonic()
            if now - self._reloaded_at < RELOAD_INTERVAL_SECONDS:
                return False
            self._reloaded_at = now
            self._reloading = asyncio.create_task(self.refresh())
            self._reloading.add_done_callback(self._reloaded)
        await asyncio.shield(self._reloading)
        return True

    def is_current(self) -> bool:
        """Always: background.py follows the store."""
        return True

    async def keep_current(self) -> None:
        """Nothing to do: background.py follows the store."""

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Have `forget` called when a key is revoked, or its time is over."""
        self._forget.append(forget)

    async def close(self) -> None:
        """Nothing is open."""

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        return self.keyring.verification_key(kid, now_ms)

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises StoreUnavailable if there is none that can be opened."""
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
        """The key of today for tokens of one purpose: it outlives a change of the master key, and not `keys replace`.

        Raises StoreUnavailable if it can't be opened.
        """
        try:
            return self._custody.token_key(self.records, purpose)
        except StoreRefused as error:
            kid = of_tokens(self.records).kid
            _log.error("the key that tokens are made with can't be opened", kid=kid, reason=str(error))
            raise StoreUnavailable from None

    def jwks(self) -> JwksDocument:
        """The JWK Set as it is published now, made once for as long as it is the same."""
        now = self._clock.now_ms()
        if self._document is None or not self._document.is_current(now):
            body = orjson.dumps(self.keyring.jwks(now))
            self._document = JwksDocument(body, self.keyring.jwks_changes_at(now))
        return self._document

    def _reloaded(self, task: asyncio.Task[None]) -> None:
        self._reloading = None
        if not task.cancelled():
            # Looked at here too, since whoever waited may have left.
            task.exception()

    def _take(self, records: list[KeyRecord]) -> None:
        if records != self.records:
            self.records = records
            self.keyring = self._rules.keyring(records)
            self._document = None
        accepted = self.keyring.accepted(self._clock.now_ms())
        if self._accepted - accepted:
            self._custody.keep_only(accepted)
            for forget in self._forget:
                forget()
        self._accepted = accepted
