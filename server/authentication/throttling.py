"""Throttling: how many wrong passwords are looked at, of an account, from an address, and in all.

An attempt is taken from its counters before the password is hashed, in one step of the store, and runs until it is
noted how it ended. No more run at the same moment, on all nodes together, than could all be wrong: so attempts at the
same moment look at no more passwords than attempts one after the other. Nobody is told that a password was wrong before
that is counted. What a process looked at when it died it told nobody; for a minute or two it counts as running.

    an attempt by       is counted by                      at most wrong, until a success or a reset
    a stranger          account, address, all              70 of an account
    a known device      its cookie, all known devices      10 of a device, 20 of all devices of an account
    a logged in user    the password change                10 of an account

That is 100 of an account in all (NIST SP 800-63B-4, section 3.2.2). What refuses a stranger says nothing of whether the
account exists: one that does not has the same counters.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from server.audit.model import AuditNote
from server.authentication.errors import TooManyAttempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget
from server.authentication.repository import AttemptRepository
from server.core.addresses import address_of
from server.core.clock import Clock
from server.core.errors import Overloaded, StoreUnavailable
from server.passwords.pool import NeverBegun
from server.settings.tree import LimitSettings

HOUR_MS = 3_600_000
DEVICE_ATTEMPTS = 10
# So many wrong ones without a wait between them; then a second, and twice as long each time, up to 15 minutes.
FREE_FAILURES = 20

_log = structlog.get_logger("watchword.limits")


class Attempt:
    """A look at one password: `async with` takes it from its limits, or raises TooManyAttempts or Overloaded.

    Inside, say how it ended, by `failed` or `succeeded`. Else what leaves the block decides: what says that nothing was
    looked at, or nothing told, gives the attempt back, as does the end of the block; everything else is a failure.
    """

    def __init__(
        self, attempts: AttemptRepository, clock: Clock, counted: Sequence[AttemptCounter], *wanted: AttemptLimits
    ) -> None:
        """`wanted`: the first one that is not used up is taken. `counted`: what a success lets begin anew."""
        self._attempts = attempts
        self._clock = clock
        self._counted = counted
        self._wanted = wanted
        self._taken = AttemptLimits()
        self._ended = False

    @property
    def is_strangers(self) -> bool:
        """Whether it pays with budgets."""
        return bool(self._taken.budgets)

    async def __aenter__(self) -> Self:
        *earlier, last = self._wanted
        for wanted in earlier:
            with suppress(TooManyAttempts):
                return await self._take(wanted)
        return await self._take(last)

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._ended:
            return
        if error is None or isinstance(error, NeverBegun | Overloaded | StoreUnavailable):
            # If that fails, it ends by itself.
            with suppress(StoreUnavailable):
                await asyncio.shield(self._attempts.give_back(self._taken))
        else:
            await self.failed()

    async def failed(self, note: AuditNote | None = None) -> None:
        """It was wrong, or nobody waited for the outcome. The note is recorded in the same step."""
        self._ended = True
        await asyncio.shield(self._attempts.note_failure(self._taken, self._clock.now_ms(), note))

    async def succeeded(self) -> None:
        """It was right: whatever was wrong before is forgotten; if the store fails just now, at the next success."""
        self._ended = True
        try:
            await asyncio.shield(self._attempts.settle(self._taken, [*self._counted, *self._taken.counters]))
        except StoreUnavailable:
            _log.warning("a right password could not be noted: wrong ones before it still count")

    async def _take(self, wanted: AttemptLimits) -> Self:
        taking = asyncio.ensure_future(self._attempts.take(wanted, self._clock.now_ms()))
        try:
            self._taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The client has left meanwhile; what was taken all the same is given back.
            with suppress(TooManyAttempts, Overloaded, StoreUnavailable):
                await asyncio.shield(self._attempts.give_back(await taking))
            raise
        return self


class Throttle:
    """Knows which limits an attempt has. An account is named by its username in the form that is compared."""

    def __init__(self, attempts: AttemptRepository, clock: Clock, settings: LimitSettings) -> None:
        self._attempts = attempts
        self._clock = clock
        self._settings = settings

    def login(self, account: str, address: str | None, device_id: str | None) -> Attempt:
        """`device_id`: of a cookie for this account. A known device that has used up its attempts is a stranger."""
        stranger = AttemptLimits((self._strangers(account),), self._budgets(address))
        if device_id is None:
            return self._attempt(account, stranger)
        device = AttemptLimits((self._devices(account), _counter("known", device_id, DEVICE_ATTEMPTS)))
        return self._attempt(account, device, stranger)

    def change(self, account: str) -> Attempt:
        """Of the current password, for a change of it."""
        return self._attempt(account, AttemptLimits((self._changes(account),)))

    def reset(self, address: str | None) -> Attempt:
        """Of a reset token. A right one costs nothing: leave the block."""
        return Attempt(self._attempts, self._clock, (), AttemptLimits((), self._budgets(address)))

    async def forget(self, *accounts: str) -> None:
        """After a password that was set anew, or accounts that were made: nobody has made an attempt at these."""
        try:
            await self._attempts.settle(None, [one for account in accounts for one in self._counted(account)])
        except StoreUnavailable:
            _log.warning("wrong passwords before a new one could not be forgotten: they still count")

    def _attempt(self, account: str, *wanted: AttemptLimits) -> Attempt:
        return Attempt(self._attempts, self._clock, self._counted(account), *wanted)

    def _counted(self, account: str) -> list[AttemptCounter]:
        return [self._strangers(account), self._devices(account), self._changes(account)]

    def _strangers(self, account: str) -> AttemptCounter:
        return _counter("account", account, self._settings.account_guesses * 7 // 10)

    def _devices(self, account: str) -> AttemptCounter:
        return _counter("devices", account, self._settings.account_guesses * 2 // 10)

    def _changes(self, account: str) -> AttemptCounter:
        return _counter("change", account, self._settings.account_guesses // 10)

    def _budgets(self, address: str | None) -> tuple[Budget, ...]:
        per_hour = self._settings
        return (
            _budget("address", network_of(address), per_hour.address_guesses_per_hour),
            _budget("all", "", per_hour.all_guesses_per_hour),
        )


def network_of(address: str | None) -> str:
    """What one client has: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from."""
    parsed = None if address is None else address_of(address)
    if parsed is None:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _counter(kind: str, name: str, limit: int) -> AttemptCounter:
    return AttemptCounter(_digest(kind, name), limit, min(limit, FREE_FAILURES))


def _budget(kind: str, name: str, per_hour: int) -> Budget:
    return Budget(_digest(kind, name), HOUR_MS // per_hour, HOUR_MS)


def _digest(kind: str, name: str) -> str:
    """Of a fixed length, and no name that was typed is kept: somebody types a password into the wrong field."""
    return f"{kind}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
