"""Throttling: how many wrong passwords are looked at, of an account, from an address, and in all.

An attempt is taken from its counters before the password is hashed, in one step of the store, and runs until it is
noted how it ended. No more run at the same moment, on all nodes together, than could all be wrong: so attempts at the
same moment look at no more passwords than attempts one after the other. Nobody is told that a password was wrong before
that is counted. What a process looked at when it died it told nobody; for a minute or two it counts as running.

    an attempt by       is counted by                      at most wrong, until a success or a reset
    a stranger          account, address, all              70 of an account
    a known device      its cookie, all known devices      10 of a device, 20 of all devices of an account
    a logged in user    the password change                10 of an account

With the default of `limits.account_guesses` that is 100 of an account in all (NIST SP 800-63B-4, section 3.2.2). With a
lower one the shares of the account are lower in proportion; the 10 of a device stay. What refuses a stranger says
nothing of whether the account exists: one that does not has the same counters.
"""

from __future__ import annotations

import hashlib
import ipaddress

import structlog

from server.authentication.attempt import Attempt
from server.authentication.attempts import Attempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget
from server.core.addresses import address_of
from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.settings.tree import LimitSettings

HOUR_MS = 3_600_000
DEVICE_ATTEMPTS = 10
# So many wrong ones without a wait between them; then a second, and twice as long each time, up to 15 minutes.
FREE_FAILURES = 20

_log = structlog.get_logger("watchword.limits")


class Throttle:
    """Knows which limits an attempt has. An account is named by its username in the form that is compared."""

    def __init__(self, attempts: Attempts, clock: Clock, settings: LimitSettings) -> None:
        self._attempts = attempts
        self._clock = clock
        self._settings = settings

    def login_attempt(self, account: str, address: str | None, device_id: str | None) -> Attempt:
        """`device_id`: of a cookie for this account. A known device that has used up its attempts is a stranger."""
        stranger = AttemptLimits((self._strangers(account),), self._budgets(address))
        if device_id is None:
            return self._attempt(account, stranger)
        device = AttemptLimits((self._devices(account), _counter("known", device_id, DEVICE_ATTEMPTS)))
        return self._attempt(account, device, stranger)

    def password_change_attempt(self, account: str) -> Attempt:
        """Of the current password, for a change of it."""
        return self._attempt(account, AttemptLimits((self._changes(account),)))

    def reset_token_attempt(self, address: str | None) -> Attempt:
        """Of a reset token. A right one costs nothing: leave the block."""
        return Attempt(self._attempts, self._clock, (), AttemptLimits((), self._budgets(address)))

    async def clear(self, *accounts: str) -> None:
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
        settings = self._settings
        return (
            _budget("address", network_of(address), settings.address_guesses_per_hour),
            _budget("all", "", settings.all_guesses_per_hour),
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
