"""Mails over SMTP."""

from __future__ import annotations

import asyncio
import codecs
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from server.mail.transport.mailbox import smtp_address
from server.mail.transport.model import MailSession, Outcome, OutgoingMail, Sending
from server.mail.transport.smtp_connection import Failed, Limits, SmtpConnection
from server.settings.mail import MailServer

# Names of hosts go through this codec, which would be loaded at the first mail; then no file may be left to open.
codecs.lookup("idna")
_log = structlog.get_logger("watchword.mail")

# Servers end connections that bring many more.
_MOST_PER_CONNECTION = 100


class SmtpTransport:
    """Sends mails to one SMTP server.

    `sender` is the address that gets what can't be delivered. `own_name` is what this server calls itself in EHLO;
    empty: its address.
    """

    def __init__(self, server: MailServer, sender: str, own_name: str, limits: Limits | None = None) -> None:
        self._server, self.sender, self._own_name, self._limits = server, sender, own_name, limits or Limits()
        # The roots of the system, or those of SSL_CERT_FILE and SSL_CERT_DIR.
        self._tls = ssl.create_default_context()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MailSession]:
        """See `Transport`."""
        session = _SmtpSession(self, self._limits)
        try:
            yield session
        except BaseException:
            # A mail may be on its way. Any word more could become part of it.
            await session.drop()
            raise
        await session.close()

    def connection(self) -> SmtpConnection:
        """A connection that is not open yet."""
        return SmtpConnection(self._server, self._tls, self._own_name, self._limits)


class _SmtpSession:
    def __init__(self, transport: SmtpTransport, limits: Limits) -> None:
        self._transport, self._limits = transport, limits
        self._connection: SmtpConnection | None = None
        self._sent = 0

    async def send(self, mail: OutgoingMail) -> Sending:
        """See `MailSession`."""
        try:
            recipient = smtp_address(mail.recipient)
            utf8 = not (self._transport.sender + recipient).isascii()
            data = mail.as_bytes(utf8=utf8)
        except Exception as error:  # noqa: BLE001 - one mail that can't be written must not hold up the others
            return Sending(Outcome.REFUSED, f"it can't be written as a mail ({type(error).__name__})")
        try:
            connection = await self._ready()
            async with asyncio.timeout(self._limits.step_seconds) as time:
                await connection.begin(self._transport.sender, utf8=utf8)
                await connection.recipient(recipient)
                time.reschedule(asyncio.get_running_loop().time() + self._limits.accepted_seconds)
                await connection.content(data)
        except Failed as failed:
            return Sending(failed.outcome, failed.reason)
        except TimeoutError:
            await self.drop()
            return Sending(Outcome.LATER, "no answer in time")
        except Exception as error:  # noqa: BLE001 - a defect with one mail must not hold up the others
            _log.exception("a mail can't be sent")
            await self.drop()
            return Sending(Outcome.LATER, f"something went wrong here ({type(error).__name__})")
        return Sending(Outcome.SENT)

    async def close(self) -> None:
        """Say goodbye, if there is a connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def drop(self) -> None:
        """Let go without a word."""
        if self._connection is not None:
            await self._connection.drop()

    async def _ready(self) -> SmtpConnection:
        """A connection that takes another mail. Raises Failed."""
        connection = self._connection
        if connection is not None and connection.is_open and self._sent < _MOST_PER_CONNECTION:
            try:
                await connection.reset()
            except Failed:
                # It was ended since the last mail, which says nothing about a new one.
                pass
            else:
                self._sent += 1
                return connection
        await self.close()
        self._connection = connection = self._transport.connection()
        try:
            await connection.open()
        except Failed:
            # It may be open, but without TLS or login no mail may use it.
            await self.close()
            raise
        self._sent = 1
        return connection
