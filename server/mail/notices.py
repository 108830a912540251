"""Notices: mails that tell users what was done to their accounts, so that they notice if it was somebody else.

They are written in the transaction of the change, and go only to addresses that are verified.
"""

from __future__ import annotations

import hashlib

from server.authentication.throttling import network_of
from server.core.client import Client
from server.database.driver import Transaction
from server.mail.known_clients import KnownClients
from server.mail.model import MailKind, NewMail
from server.mail.outbox import Outbox
from server.users.model import User
from server.users.repository import UserRepository

# Of sign-ins from a device that was never seen, for an account in a day. Who gets more of them reads none.
MOST_A_DAY = 5
_DAY_MS = 86_400_000


class Notices:
    """Writes notices, as an Outbox writes mails.

    notices = self._notices.writer()   # before the transaction
    await notices.password_changed(transaction, user_id, now)   # in it, in front of the audit record
    notices.soon()                     # after it
    """

    def __init__(self, outbox: Outbox, users: UserRepository, clients: KnownClients, *, sign_ins: bool) -> None:
        """`sign_ins`: also of sign-ins from devices that were never seen."""
        self._outbox = outbox
        self._users = users
        self._clients = clients
        self._sign_ins = sign_ins

    def writer(self) -> NoticeWriter:
        """For the next transaction of this task. Raises StoreUnavailable."""
        return NoticeWriter(self._outbox, self._users, self._clients if self._sign_ins else None)


class NoticeWriter:
    """Writes the notices of one transaction. If the server sends no mail, each method does nothing."""

    def __init__(self, outbox: Outbox, users: UserRepository, clients: KnownClients | None) -> None:
        self._outbox = outbox
        self._mails = outbox.writer() if outbox.enabled else None
        self._wrote = False
        self._users = users
        self._clients = clients

    async def password_changed(self, transaction: Transaction, user_id: str, now: int) -> None:
        """A password was set, by whomever."""
        if self._mails is not None and (user := await self._users.lock(transaction, user_id)) is not None:
            await self._tell(transaction, MailKind.PASSWORD_CHANGED, user, path="/sign-in", at=now)

    async def primary_changed(self, transaction: Transaction, before: User, after: User) -> None:
        """A user was changed. If it was the primary address, who reads the mails to the former one is told."""
        if before.email != after.email:
            await self._tell(transaction, MailKind.PRIMARY_CHANGED, before, email=after.email or "")

    async def email_added(self, transaction: Transaction, user: User, email: str) -> None:
        """An address was confirmed. `user` is as before, and is told at the primary address."""
        if user.email != email:
            await self._tell(transaction, MailKind.EMAIL_ADDED, user, email=email)

    async def signed_in(
        self, transaction: Transaction, user_id: str, client: Client, now: int, *, known_device: bool
    ) -> None:
        """A session was opened. `known_device`: the browser has a device cookie of this account."""
        if self._mails is None or self._clients is None:
            return
        is_news = await self._clients.see(transaction, user_id, _name_of(client), now)
        if not is_news or known_device:
            return
        if await self._clients.count_notices(transaction, user_id, now - _DAY_MS) >= MOST_A_DAY:
            return
        user = await self._users.lock(transaction, user_id)
        if user is not None:
            seen = {"ip": client.ip or "", "user_agent": client.user_agent or ""}
            await self._tell(transaction, MailKind.NEW_SIGN_IN, user, at=now, **seen)

    def soon(self) -> None:
        """The transaction is on disk. Most sign-ins are no news, and then nobody looks for mails."""
        if self._wrote:
            self._outbox.soon()

    async def _tell(
        self, transaction: Transaction, kind: MailKind, user: User, *, path: str = "/account", **values: str | int
    ) -> None:
        if self._mails is None or user.email is None or user.email_verified_at is None:
            return
        about = {"path": path, "username": user.username, **values}
        await self._mails.put(transaction, NewMail(kind, user.email, about, user.id))
        self._wrote = True


def _name_of(client: Client) -> str:
    """A digest of program and network. Nobody has to read them again."""
    text = f"{network_of(client.ip)}\n{client.user_agent or ''}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
