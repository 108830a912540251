"""Throttling: how many wrong passwords are checked, for an account, from an address, and in all.

An attempt is taken from its counters before the password is hashed, in one step of the store, and runs until its result
is noted. On all nodes together, no more attempts run than could all be wrong. So attempts at the same moment check no
more passwords than attempts one after the other. A failure is counted before the client hears of it. If a process is
killed, nobody hears the results of its attempts; they count as running for a minute or two.

    an attempt by       is counted by                      at most wrong, until a success or a reset
    a stranger          account, address, all              70 of an account
    a known device      its cookie, all known devices      10 of a device, 20 of all devices of an account
    a logged in user    account                            10 of an account

With the default of `limits.account_guesses` that is 100 of an account in all (NIST SP 800-63B-4, section 3.2.2). With a
lower one the shares of the account are lower in proportion; the 10 of a device stay. What refuses a stranger says
nothing of whether the account exists: one that does not has the same counters.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from contextlib import suppress

from server.authentication.attempt import Attempt
from server.authentication.attempts import Attempts
from server.authentication.model import AttemptCounter, AttemptLimits, Budget, Standing, StoredCount
from server.core.addresses import address_of
from server.core.clock import Clock
from server.core.errors import StoreUnavailable
from server.database.driver import Transaction
from server.settings.tree import LimitSettings

HOUR_MS = 3_600_000
DEVICE_ATTEMPTS = 10
# So many failures without a wait between them. Then the wait is a second, and doubles each time, up to 15 minutes.
FREE_FAILURES = 20
# Whose attempts the counters of an account count, in the order of `_counted`.
_BY = ("unknown devices", "known devices", "logged in users")


class Throttle:
    """Makes attempts with their limits. `account` is always the key by which usernames are compared."""

    def __init__(self, attempts: Attempts, clock: Clock, settings: LimitSettings) -> None:
        self._attempts = attempts
        self._clock = clock
        self._settings = settings

    def login_attempt(self, account: str, address: str | None, device_id: str | None) -> Attempt:
        """An attempt to log in. `device_id` is that of a device cookie for this account; None for a stranger.

        A known device that has used up its attempts counts as a stranger.
        """
        stranger = AttemptLimits((self._strangers(account),), self._budgets(address))
        if device_id is None:
            return self._attempt(account, stranger)
        device = AttemptLimits((self._devices(account), _counter("known", device_id, DEVICE_ATTEMPTS)))
        return self._attempt(account, device, stranger)

    def reauthentication_attempt(self, account: str) -> Attempt:
        """An attempt at the password by somebody who is logged in, to change it or to prove again who they are."""
        return self._attempt(account, AttemptLimits((self._logged_in(account),)))

    def reset_token_attempt(self, address: str | None) -> Attempt:
        """An attempt at a reset token. For a valid token, leave the block without calling a method."""
        return Attempt(self._attempts, self._clock, (), AttemptLimits((), self._budgets(address)))

    def registration_attempt(self, address: str | None, *, invited: bool) -> Attempt:
        """An attempt to register, or at an invitation token. Its budgets are as large as those of logins.

        They are others, so people who register keep nobody from logging in. What costs nothing leaves the block without
        calling a method. `invited` is who has a token that was issued here: strangers use up the budget of all without
        keeping them out.
        """
        budgets = self._budgets(address, "registration-")
        return Attempt(self._attempts, self._clock, (), AttemptLimits((), budgets[:1] if invited else budgets))

    async def spend_look(self, transaction: Transaction, address: str | None, *, link: bool) -> None:
        """Pay for a look at a mailed code, in the transaction that counts it. Raises TooManyAttempts.

        Its budgets are as large as those of logins, but others. With the `link` of the same mail only the client pays:
        strangers who guess codes use up the budget of all without keeping out who has the mail.
        """
        await self._attempts.spend(transaction, self._look_budgets(address, link=link), self._clock.now_ms())

    async def refund_look(self, transaction: Transaction, address: str | None, *, link: bool) -> None:
        """Give back what a look has cost: it was at a right one."""
        await self._attempts.refund(transaction, self._look_budgets(address, link=link))

    async def count_code(self, transaction: Transaction, target: str, *, link: bool) -> int:
        """Count a code for a target, after `spend_look`. Returns the how manyth it is, with the link or without."""
        return await self._attempts.count(transaction, _code_key(target, link=link), self._clock.now_ms())

    async def uncount_code(self, transaction: Transaction, target: str, *, link: bool) -> None:
        """Take back the count of a code: it was right."""
        await self._attempts.uncount(transaction, _code_key(target, link=link))

    async def spend_mail_request(self, transaction: Transaction, address: str | None, *, invited: bool = False) -> None:
        """Pay for a mail that somebody asks for, in the transaction that notes it. Raises TooManyAttempts.

        For who is `invited` only the client pays, so that strangers keep nobody out who is.
        """
        settings = self._settings
        budgets = [
            _budget("mail-asked-by", network_of(address), settings.address_mails_per_hour),
            _budget("mail-asked-in-all", "", settings.all_mails_per_hour),
        ]
        await self._attempts.spend(transaction, budgets[:1] if invited else budgets, self._clock.now_ms())

    async def spend_mail_of(self, transaction: Transaction, user_id: str) -> None:
        """Pay for a mail that a signed-in user asks for, whose row is locked. Raises TooManyAttempts.

        It is the budget of `confirmation_allowed`, which then is asked about no account.
        """
        budget = _budget("mail-of", user_id, self._settings.account_mails_per_hour)
        await self._attempts.spend(transaction, [budget], self._clock.now_ms())

    async def confirmation_allowed(self, transaction: Transaction, recipient_key: str, user_id: str | None) -> bool:
        """Whether a mail about an address that somebody gives may go there, for an account (None: it has paid).

        If so, it is counted. Call it after `spend_mail_request`, and with the row of the user locked before.
        """
        return await self._mail_allowed(transaction, "mail-to", recipient_key, "mail-of", user_id)

    async def recovery_allowed(self, transaction: Transaction, recipient_key: str, user_id: str) -> bool:
        """The same for a mail that sets a password or signs in.

        It has budgets of its own. Else who gives somebody's address again and again keeps these mails from its owner,
        and what is left of its mails tells whether somebody has the address.
        """
        return await self._mail_allowed(transaction, "recovery-to", recipient_key, "recovery-of", user_id)

    async def _mail_allowed(
        self, transaction: Transaction, to: str, recipient_key: str, of: str, user_id: str | None
    ) -> bool:
        per_hour = self._settings.account_mails_per_hour
        budgets = [_budget(to, _mailbox_of(recipient_key), per_hour)]
        if user_id is not None:
            budgets.append(_budget(of, user_id, per_hour))
        return await self._attempts.spend_if_possible(transaction, budgets, self._clock.now_ms())

    async def clear(self, *accounts: str) -> None:
        """Forget earlier failures, for new accounts and after a password was set. If the store fails, they count on."""
        # The log says that the store has failed.
        with suppress(StoreUnavailable):
            await self._attempts.settle(None, [one for account in accounts for one in self._counted(account)])

    async def standing(self, account: str) -> list[Standing]:
        """What is counted for an account, in the order of `_counted`."""
        counters = self._counted(account)
        found = await self._attempts.counts([counter.key for counter in counters])
        return [
            Standing(by, count.failures, counter.limit, count.retry_at)
            for by, counter in zip(_BY, counters, strict=True)
            for count in [found.get(counter.key, StoredCount(0, 0))]
        ]

    async def rename(self, transaction: Transaction, old: str, new: str) -> None:
        """The counts of an account go with it to its new name. What was counted for that name before is forgotten."""
        keys = [(before.key, after.key) for before, after in zip(self._counted(old), self._counted(new), strict=True)]
        await self._attempts.move(transaction, keys)

    def _attempt(self, account: str, *wanted: AttemptLimits) -> Attempt:
        return Attempt(self._attempts, self._clock, self._counted(account), *wanted)

    def _counted(self, account: str) -> list[AttemptCounter]:
        return [self._strangers(account), self._devices(account), self._logged_in(account)]

    def _strangers(self, account: str) -> AttemptCounter:
        return _counter("account", account, self._settings.account_guesses * 7 // 10)

    def _devices(self, account: str) -> AttemptCounter:
        return _counter("devices", account, self._settings.account_guesses * 2 // 10)

    def _logged_in(self, account: str) -> AttemptCounter:
        return _counter("change", account, self._settings.account_guesses // 10)

    def _budgets(self, address: str | None, of: str = "") -> tuple[Budget, ...]:
        settings = self._settings
        return (
            _budget(f"{of}address", network_of(address), settings.address_guesses_per_hour),
            _budget(f"{of}all", "", settings.all_guesses_per_hour),
        )

    def _look_budgets(self, address: str | None, *, link: bool) -> Sequence[Budget]:
        budgets = self._budgets(address, "code-")
        return budgets[:1] if link else budgets


def network_of(address: str | None) -> str:
    """The network that counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = None if address is None else address_of(address)
    if parsed is None:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _mailbox_of(recipient_key: str) -> str:
    """The mailbox that an address of these leads to: lak+news@example.com is that of lak (RFC 5233).

    Else whoever puts a number behind the + floods one mailbox with mails to many addresses.
    """
    local, _, domain = recipient_key.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _counter(kind: str, name: str, limit: int) -> AttemptCounter:
    return AttemptCounter(_digest(kind, name), limit, min(limit, FREE_FAILURES))


def _budget(kind: str, name: str, per_hour: int) -> Budget:
    return Budget(_digest(kind, name), HOUR_MS // per_hour, HOUR_MS)


def _code_key(target: str, *, link: bool) -> str:
    return _digest("code-with" if link else "code-for", target)


def _digest(kind: str, name: str) -> str:
    """The key of a count. It is a digest, since somebody may type a password into the field of the username."""
    return f"{kind}:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
