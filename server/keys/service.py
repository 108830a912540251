"""The server's own keys over time, shared by all nodes through the store. What becomes of them is in rotation.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson
import structlog

from server.audit.model import AuditEvent, AuditNote, Value
from server.audit.repository import AuditRepository
from server.core.clock import Clock, rfc3339
from server.core.errors import NotFound, StoreRefused, StoreUnavailable
from server.core.ids import Ids
from server.keys import rotation
from server.keys.derivation import DERIVATION_BYTES, derivations, new_derivation, of_audit, of_tokens, succeeded
from server.keys.jwks_document import JwksDocument
from server.keys.key_material import SigningKey, dump, generate, load, public_jwk
from server.keys.keyring import Keyring
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import Rules
from server.keys.sealing import MasterKey, derive
from watchword_client.keys import SHARED, VerificationKey

# A token with an unknown key makes the keys be read again, at most so often.
RELOAD_INTERVAL_SECONDS = 1.0

Plan = Callable[[Sequence[KeyRecord]], list[KeyRecord]]

_log = structlog.get_logger("watchword.keys")


class KeyService:
    """Holds the current keyring, keeps it current, and changes it. `master_key` reads the master key of today."""

    def __init__(
        self,
        *,
        keys: KeyRepository,
        audit: AuditRepository,
        master_key: Callable[[], MasterKey],
        rules: Rules,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._keys = keys
        self._audit = audit
        self._read_master_key = master_key
        self._master_key = master_key()
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._forget: list[Callable[[], None]] = []
        self._private: dict[str, SigningKey] = {}
        self._reloading: asyncio.Task[None] | None = None
        self._reloaded_at = clock.monotonic()
        self._records: list[KeyRecord] = []
        self._accepted: frozenset[str] = frozenset()
        self._derived: dict[str, bytes] = {}
        self._derived_from = ""
        self._audit_key = b""
        self._document: JwksDocument | None = None
        self.keyring: Keyring = rules.keyring([])

    async def load(self, *, serving: bool) -> None:
        """Read the keys, and make those that are missing: a server needs one that signs, with one that is next.

        Raises StoreRefused if the master key is wrong.
        """
        await self._change(self._with_derivation, None)
        self._audit_key = derive(self._unseal(of_audit(self._records)), "audit log")
        self._audit.chain_audit(self._audit_key)
        if serving:
            # A command may run with other settings than the server; it decides nothing about its keys.
            await self._change(lambda seen: rotation.started(seen, self._rules, self._now, self._make))
        for record in self.keyring.chain():
            if record.sealed:
                self._signing_key(record)

    async def maintain(self) -> None:
        """Make the next key when it is due, forget spent ones. To be called each minute."""
        await self._change(lambda seen: rotation.kept_up(seen, self._rules, self._now, self._make))

    async def rotate(self, *, at_once: bool) -> KeyRecord:
        """Let the next key follow now; it. If another process did so in the same moment, the two are one rotation.

        Raises RotationUnderWay; StoreRefused for HS256, whose secrets are in the settings.
        """
        last = None
        while True:
            seen = await self._keys.list_keys()
            self._require_master_key(seen)
            rules = rotation.in_force(seen, self._rules, self._now)
            if rules.algorithm == SHARED:
                raise StoreRefused("with HS256 the secrets are in the settings: put a new one first in tokens.secret")
            chain = rules.keyring(seen).chain()
            if last is not None and chain and chain[-1].kid != last:
                # Another process has rotated meanwhile.
                break
            last = chain[-1].kid if chain else None
            wanted = await asyncio.to_thread(rotation.rotated, seen, rules, self._now, self._make, at_once=at_once)
            if await self._keys.swap_keys(seen, wanted, self._note(AuditEvent.KEYS_ROTATED, seen, wanted)):
                chain = rules.keyring(wanted).chain()
                break
        await self.refresh()
        return chain[-2]

    async def revoke(self, kid: str) -> None:
        """From now on no token of that key is believed, in any process within a second, and another key signs.

        Raises NotFound; StoreRefused for a secret of the settings.
        """

        def plan(seen: Sequence[KeyRecord]) -> list[KeyRecord]:
            now = self._now
            return rotation.revoked(seen, kid, rotation.in_force(seen, self._rules, now), now, self._make)

        if any(record.kid == kid and record.algorithm == SHARED for record in await self._keys.list_keys()):
            raise StoreRefused("this key is a secret of the settings: take it out of tokens.secret and restart")

        try:
            await self._change(plan, AuditEvent.KEYS_REVOKED, kid)
        except KeyError:
            raise NotFound(f"There is no key {kid!r}.") from None

    async def replace(self) -> None:
        """After a break-in: no token of any kind that was made before is believed, in any process within a second.

        New keys are made for all that the server signs and derives; the audit log keeps its own, to stay one chain.
        Secrets of the settings stay too.
        """

        def plan(seen: Sequence[KeyRecord]) -> list[KeyRecord]:
            now = self._now
            kept = rotation.all_replaced(seen, rotation.in_force(seen, self._rules, now), now, self._make)
            return rotation.sorted_keys(succeeded(kept, self._new_derivation(), now))

        await self._change(plan, AuditEvent.KEYS_REVOKED)

    async def rewrap(self) -> int:
        """Seal everything anew under the first master key of today; how many keys. Raises StoreRefused."""
        self._master_key = self._read_master_key()

        def plan(seen: Sequence[KeyRecord]) -> list[KeyRecord]:
            return [
                replace(record, sealed=self._master_key.seal(self._unseal(record), record.kid))
                if record.sealed
                else record
                for record in seen
            ]

        await self._change(plan, AuditEvent.MASTER_KEY_CHANGED)
        return sum(1 for record in self._records if record.sealed)

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

    async def refresh(self) -> None:
        """Read the keys. Raises StoreUnavailable."""
        self._take(await self._keys.list_keys())

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

    def _reloaded(self, task: asyncio.Task[None]) -> None:
        self._reloading = None
        if not task.cancelled():
            # Looked at here too, since whoever waited may have left.
            task.exception()

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises StoreUnavailable if there is none that can be opened."""
        secret = self.keyring.signing_secret()
        if secret is not None:
            return secret
        record = self.keyring.signing_record(self._now)
        if record is None:
            _log.error("there is no key to sign with; restart to make one")
            raise StoreUnavailable
        try:
            return self._signing_key(record)
        except StoreRefused as error:
            _log.error("the signing key can't be opened", kid=record.kid, reason=str(error))
            raise StoreUnavailable from None

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, if tokens signed by it can still be valid."""
        return self.keyring.verification_key(kid, now_ms)

    def jwks(self) -> JwksDocument:
        """The JWK Set as it is published now, made once for as long as it is the same."""
        now = self._now
        if self._document is None or not self._document.is_current(now):
            body = orjson.dumps(self.keyring.jwks(now))
            self._document = JwksDocument(body, self.keyring.jwks_changes_at(now))
        return self._document

    def derive(self, purpose: str) -> bytes:
        """The key of today for tokens of one purpose: it outlives a change of the master key, and not `replace`.

        Raises StoreUnavailable if it can't be opened.
        """
        record = of_tokens(self._records)
        if record.kid != self._derived_from:
            self._derived, self._derived_from = {}, record.kid
        if purpose not in self._derived:
            try:
                self._derived[purpose] = derive(self._unseal(record), purpose)
            except StoreRefused as error:
                _log.error("the key that tokens are made with can't be opened", kid=record.kid, reason=str(error))
                raise StoreUnavailable from None
        return self._derived[purpose]

    @property
    def audit_key(self) -> bytes:
        """What audit records are linked under. It stays as long as the store."""
        return self._audit_key

    @property
    def _now(self) -> int:
        return self._clock.now_ms()

    async def _change(
        self, plan: Plan, event: AuditEvent | None = AuditEvent.KEYS_ROTATED, kid: str | None = None
    ) -> None:
        """Carry out a plan on the keys as they are, again if another process was faster. Recorded as `event`."""
        while True:
            seen = await self._keys.list_keys()
            self._require_master_key(seen)
            # Making an RSA key takes longer than the event loop should stand still.
            wanted = await asyncio.to_thread(plan, seen)
            note = None if event is None else self._note(event, seen, wanted, kid)
            if wanted == seen or await self._keys.swap_keys(seen, wanted, note):
                break
        await self.refresh()

    def _note(
        self, event: AuditEvent, seen: Sequence[KeyRecord], wanted: Sequence[KeyRecord], kid: str | None = None
    ) -> AuditNote:
        """The keys that differ, without their secret halves."""
        before, after = _shown(seen), _shown(wanted)
        gone = {name: view for name, view in before.items() if after.get(name) != view}
        come = {name: view for name, view in after.items() if before.get(name) != view}
        return AuditNote(event, self._now, target_id=kid, target_name=kid, before=gone or None, after=come or None)

    def _require_master_key(self, records: Sequence[KeyRecord]) -> None:
        """What is made here must not be sealed under a master key that was changed meanwhile."""
        for record in derivations(records):
            self._unseal(record)

    def _with_derivation(self, seen: Sequence[KeyRecord]) -> list[KeyRecord]:
        return list(seen) if derivations(seen) else rotation.sorted_keys([*seen, self._new_derivation()])

    def _new_derivation(self) -> KeyRecord:
        kid = self._ids.new_id()
        return new_derivation(
            kid, self._master_key.seal(self._ids.random_bytes(DERIVATION_BYTES), kid), created_at=self._now
        )

    def _make(self, algorithm: str, activates_at: int) -> KeyRecord:
        now = self._now
        ttl = self._rules.access_ttl_seconds
        if algorithm == SHARED:
            return KeyRecord(self._rules.secrets[0].kid, SHARED, "", b"", now, activates_at, ttl)
        private = generate(algorithm)
        jwk = public_jwk(private, algorithm)
        return KeyRecord(
            kid=jwk["kid"],
            algorithm=algorithm,
            public_jwk=json.dumps(jwk, separators=(",", ":")),
            sealed=self._master_key.seal(dump(private), jwk["kid"]),
            created_at=now,
            activates_at=activates_at,
            longest_ttl_seconds=ttl,
        )

    def _take(self, records: list[KeyRecord]) -> None:
        if records != self._records:
            self._records = records
            self.keyring = self._rules.keyring(records)
            self._document = None
        accepted = self.keyring.accepted(self._now)
        if self._accepted - accepted:
            self._private = {kid: key for kid, key in self._private.items() if kid in accepted}
            for forget in self._forget:
                forget()
        self._accepted = accepted

    def _signing_key(self, record: KeyRecord) -> SigningKey:
        if record.kid not in self._private:
            private = load(self._unseal(record))
            self._private[record.kid] = SigningKey(record.kid, record.algorithm, private)
        return self._private[record.kid]

    def _unseal(self, record: KeyRecord) -> bytes:
        """By the master key that is known, or else by the one of today. Raises StoreRefused."""
        try:
            return self._master_key.unseal(record.sealed, record.kid)
        except StoreRefused:
            self._master_key = self._read_master_key()
            return self._master_key.unseal(record.sealed, record.kid)


def _shown(records: Sequence[KeyRecord]) -> dict[str, Value]:
    return {
        record.kid: {
            "algorithm": record.algorithm,
            "activates_at": None if record.activates_at >= rotation.WHEN_ASKED else rfc3339(record.activates_at),
            "longest_ttl_seconds": record.longest_ttl_seconds,
            "revoked_at": None if record.revoked_at is None else rfc3339(record.revoked_at),
        }
        for record in records
    }
