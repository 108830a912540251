"""Guessing defence: how many wrong passwords are looked at, of an account, from an address, and in all.

A try is taken from its counters before the password is hashed, in one step of the store, and what it turned out to be
is noted afterwards. So any number of tries at the same moment, on any node, look at no more passwords than tries one
after the other, and a process that dies in between has counted too many, never too few.

    a try by            is counted by                      at most, until a success or a reset
    a stranger          account, address, all              70 of an account
    a known device      its own mark, all known devices    10 of a device, 20 of all devices of an account
    a logged in user    the password change                10 of an account

That is 100 of an account in all (NIST SP 800-63B-4, section 3.2.2). What refuses a stranger says nothing of whether the
account exists: one that does not has the same counters.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from server.addresses import address_of
from server.clock import Clock
from server.config.settings import LimitSettings
from server.errors import InvalidCredentials, Overloaded, TooManyAttempts
from server.passwords.pool import NeverBegun
from server.store.protocol import GuessStore
from server.store.records import Budget, GuessCounter, Try

HOUR_MS = 3_600_000
DEVICE_TRIES = 10
# So many wrong ones without a wait between them; then a second, and twice as long each time, up to 15 minutes.
FREE_FAILURES = 20


class Guesses:
    """Takes tries and notes their outcome. An account is named by its username in the form that is compared."""

    def __init__(self, store: GuessStore, clock: Clock, settings: LimitSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def take_login(self, account: str, address: str | None, device_id: str | None) -> Try:
        """Before a login. `device_id`: of a mark for this account. Raises TooManyAttempts.

        A known device that has used up its tries is a stranger.
        """
        if device_id is not None:
            with suppress(TooManyAttempts):
                return await self._take(Try((_counter("device", device_id, DEVICE_TRIES), self._devices(account))))
        return await self._take(Try((self._strangers(account),), self._budgets(address)))

    async def take_change(self, account: str) -> Try:
        """Before the current password is looked at, for a change of it. Raises TooManyAttempts."""
        return await self._take(Try((self._changes(account),)))

    async def take_reset(self, address: str | None) -> Try:
        """Before a reset token is looked at. Raises TooManyAttempts."""
        return await self._take(Try((), self._budgets(address)))

    @asynccontextmanager
    async def counting(self, taken: Try) -> AsyncIterator[None]:
        """Around the look at the password: InvalidCredentials is noted as a failure; no look gives the try back."""
        try:
            yield
        except InvalidCredentials:
            await self._store.note_failure(taken, self._clock.now_ms())
            raise
        except Overloaded:
            await self.give_back(taken)
            raise
        except NeverBegun:
            # The client has left, and this task is cancelled.
            await asyncio.shield(self.give_back(taken))
            raise

    async def give_back(self, taken: Try) -> None:
        """It was not looked at."""
        await self._store.give_back(taken)

    async def succeeded(self, account: str, taken: Try) -> None:
        """It was right: whatever was wrong before is forgotten."""
        await self._store.settle(taken.budgets, [*self._counted(account), *taken.counters])

    async def forget(self, account: str) -> None:
        """After a password that was set anew."""
        await self._store.settle((), self._counted(account))

    def _counted(self, account: str) -> list[GuessCounter]:
        return [self._strangers(account), self._devices(account), self._changes(account)]

    async def _take(self, wanted: Try) -> Try:
        await self._store.take_try(wanted, self._clock.now_ms())
        return wanted

    def _strangers(self, account: str) -> GuessCounter:
        return _counter("account", account, self._settings.account_guesses * 7 // 10)

    def _devices(self, account: str) -> GuessCounter:
        return _counter("devices", account, self._settings.account_guesses * 2 // 10)

    def _changes(self, account: str) -> GuessCounter:
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


def _counter(kind: str, name: str, limit: int) -> GuessCounter:
    return GuessCounter(_digest(kind, name), limit, min(limit, FREE_FAILURES))


def _budget(kind: str, name: str, per_hour: int) -> Budget:
    return Budget(_digest(kind, name), HOUR_MS // per_hour, HOUR_MS)


def _digest(kind: str, name: str) -> str:
    """Of a fixed length, and no name that was typed is kept: somebody types a password into the wrong field."""
    return f"{kind}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
