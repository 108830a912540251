"""Loads, maintains, rotates, revokes and replaces the server's own keys, which all nodes share through the store.

rotation.py decides which keys there should be, making.py makes them, custody.py opens them, and current.py holds the
keys that this process knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from server.audit.model import AuditEvent, AuditNote, Value
from server.audit.repository import AuditRepository
from server.core.clock import Clock, rfc3339
from server.core.errors import NotFound
from server.core.ids import Ids
from server.keys import rotation
from server.keys.current import CurrentKeys
from server.keys.custody import Custody
from server.keys.derivation import root_keys, succeeded
from server.keys.errors import KeysInSettings
from server.keys.making import KeyMaker
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import RotationPolicy
from watchword_client.keys import SHARED

# Gets the keys of the store and returns the keys that should replace them. It runs on a thread, so it has to be pure.
Plan = Callable[[Sequence[KeyRecord], KeyMaker], list[KeyRecord]]


class KeyService:
    """Makes, rotates, revokes and replaces keys. `current` holds the keys as this process knows them."""

    def __init__(
        self,
        *,
        keys: KeyRepository,
        audit: AuditRepository,
        custody: Custody,
        policy: RotationPolicy,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._keys = keys
        self._audit = audit
        self._custody = custody
        self._policy = policy
        self._clock = clock
        self._ids = ids
        self._audit_key = b""
        self.current = CurrentKeys(keys, custody, policy, clock)

    async def load(self, *, serving: bool) -> None:
        """Read the keys, and make the missing ones: a server needs a key that signs and a next one.

        Raises StoreRefused if the master key is wrong.
        """
        await self._change(_with_derivation, None)
        self._audit_key = self._custody.audit_key(self.current.records)
        self._audit.chain_audit(self._audit_key)
        if serving:
            # Only a server does this: a command may have other settings, and must not change the keys by them.
            await self._change(lambda seen, maker: rotation.started(seen, self._policy, maker.now, maker.signing))
        for record in self.current.keyring.chain():
            if record.sealed:
                self._custody.signing_key(record)

    @property
    def audit_key(self) -> bytes:
        """The HMAC key that links audit records. It never changes in the life of a store."""
        return self._audit_key

    async def maintain(self, *, steady: bool) -> None:
        """Make the next key when it is due, and by a `steady` clock delete expired ones. It is called each minute."""
        await self._change(
            lambda seen, maker: rotation.kept_up(seen, self._policy, maker.now, maker.signing, steady=steady)
        )

    async def rotate(self, *, at_once: bool) -> KeyRecord:
        """Let the next key sign, and return it. If several processes call it at the same moment, there is one rotation.

        Raises RotationUnderWay; KeysInSettings for HS256; StoreRefused if the master key does not fit.
        """
        last = _last_kid(self._chain(await self._keys.list_keys()))

        def plan(seen: Sequence[KeyRecord], maker: KeyMaker) -> list[KeyRecord]:
            policy = rotation.in_force(seen, self._policy, maker.now)
            if policy.algorithm == SHARED:
                raise KeysInSettings
            if last is not None and _last_kid(policy.keyring(seen).chain()) not in {last, None}:
                # Another process has rotated since `last` was read. No last key (None) is no sign of that.
                return list(seen)
            return rotation.rotated(seen, policy, maker.now, maker.signing, at_once=at_once)

        # The last key is the next one, which waits. The one before it signs, or will as soon as caches have it.
        return self._chain(await self._change(plan))[-2]

    async def revoke(self, kid: str) -> None:
        """Revoke a key: within a second every process refuses its tokens, and another key signs.

        Raises NotFound; KeysInSettings for a secret of the settings; StoreRefused if the master key does not fit.
        """

        def plan(seen: Sequence[KeyRecord], maker: KeyMaker) -> list[KeyRecord]:
            policy = rotation.in_force(seen, self._policy, maker.now)
            return rotation.revoked(seen, kid, policy, maker.now, maker.signing)

        if any(record.kid == kid and record.algorithm == SHARED for record in await self._keys.list_keys()):
            raise KeysInSettings(
                "This key is a secret of the settings: take it out of tokens.secret and run: config reload"
            )
        try:
            await self._change(plan, AuditEvent.KEYS_REVOKED, kid)
        except KeyError:
            raise NotFound(f"There is no key {kid!a}.") from None

    async def replace(self) -> None:
        """Replace all keys after a break-in: within a second every process refuses every token made before.

        Signing keys and the derivation key of tokens are made anew. The audit log keeps its key, so it stays one chain.
        Secrets of the settings stay too.
        """

        def plan(seen: Sequence[KeyRecord], maker: KeyMaker) -> list[KeyRecord]:
            policy = rotation.in_force(seen, self._policy, maker.now)
            kept = rotation.all_replaced(seen, policy, maker.now, maker.signing)
            return rotation.sorted_keys(succeeded(kept, maker.derivation(), maker.now))

        await self._change(plan, AuditEvent.KEYS_REVOKED)

    async def rewrap(self) -> int:
        """Seal all keys again, under the current first master key. Returns the number of keys. Raises StoreRefused."""
        self._custody.read_master_key()
        await self._change(lambda seen, maker: maker.sealed_anew(seen), AuditEvent.MASTER_KEY_CHANGED)
        return sum(1 for record in self.current.records if record.sealed)

    def _chain(self, records: Sequence[KeyRecord]) -> list[KeyRecord]:
        return rotation.in_force(records, self._policy, self._clock.now_ms()).keyring(records).chain()

    async def _change(
        self, plan: Plan, event: AuditEvent | None = AuditEvent.KEYS_ROTATED, kid: str | None = None
    ) -> list[KeyRecord]:
        """Run a plan on the keys of the store, again if another process was faster. Returns the new keys.

        `event` is recorded in the audit log in the same transaction; `kid` is its target, if it is about one key.
        """
        while True:
            seen = await self._keys.list_keys()
            self._custody.require_master_key(seen)
            maker = KeyMaker(self._custody.master_key, self._policy, self._ids, self._clock.now_ms())
            # On a thread, since making an RSA key takes so long that the event loop would stop.
            wanted = await asyncio.to_thread(plan, seen, maker)
            note = None if event is None else _note(event, self._clock.now_ms(), seen, wanted, kid)
            if wanted == seen or await self._keys.swap_keys(seen, wanted, note):
                break
        await self.current.refresh()
        return wanted


def _with_derivation(seen: Sequence[KeyRecord], maker: KeyMaker) -> list[KeyRecord]:
    return list(seen) if root_keys(seen) else rotation.sorted_keys([*seen, maker.derivation()])


def _last_kid(chain: Sequence[KeyRecord]) -> str | None:
    return chain[-1].kid if chain else None


def _note(
    event: AuditEvent, at: int, seen: Sequence[KeyRecord], wanted: Sequence[KeyRecord], kid: str | None
) -> AuditNote:
    """The audit note of a change: the keys that differ, without their private keys."""
    before, after = _shown(seen), _shown(wanted)
    gone = {name: view for name, view in before.items() if after.get(name) != view}
    come = {name: view for name, view in after.items() if before.get(name) != view}
    return AuditNote(event, at, target_id=kid, target_name=kid, before=gone or None, after=come or None)


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
