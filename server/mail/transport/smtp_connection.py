"""One connection to an SMTP server (RFC 5321, submission: RFC 6409), step by step.

aiosmtplib speaks the protocol and bounds what a server can send: 8 KB a line, 32 KB a reply. Here is decided what has
to be there: TLS with a certificate for this host (RFC 3207, RFC 8314) unless the server is on this machine, and a login
only behind it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from server.mail.transport.model import Outcome
from server.mail.transport.reasons import one_line, reply, secrets_of
from server.mail.transport.smtp_failures import connection_reason, is_about_tls
from server.settings.mail import MailServer

# The replies that ask for a login, or for a better one (RFC 4954 section 6): the settings are wrong, no mail is.
_LOGIN_CODES = frozenset({530, 534, 535, 538})
# RFC 5321 section 3.8.
_GOING_DOWN = 421
# Of the event loop, in which it ends a connection with TLS.
_ROUNDS = 10


@dataclass(frozen=True)
class Limits:
    """How long a server may take. RFC 5321 section 4.5.3.2 has minutes, but people wait for these mails."""

    connect_seconds: float = 10
    command_seconds: float = 20
    # To connect, with TLS and login; and again for all of a mail but the last reply.
    step_seconds: float = 30
    # The reply to a mail that was sent. Who gives up here gets it delivered again (section 4.5.3.2.6), so it is longer.
    accepted_seconds: float = 60
    goodbye_seconds: float = 3


class Failed(Exception):
    """A step failed. `reason` is fit for a `Sending`; `in_tls` if what failed is TLS, or the certificate."""

    def __init__(self, outcome: Outcome, reason: str, *, in_tls: bool = False) -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.in_tls = outcome, one_line(reason), in_tls


@dataclass(frozen=True)
class Secured:
    """What TLS has shown. `until` is the end of the certificate in epoch milliseconds."""

    version: str
    names: tuple[str, ...]
    until: int


class _Client(aiosmtplib.SMTP):
    """The client of aiosmtplib, which lets go of the connection at once: a mute server never ends TLS in order."""

    # What was connected last. It hears of the end of the connection a little later.
    latest: SMTPProtocol | None = None

    def close(self) -> None:
        self.latest = self.protocol or self.latest
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


class SmtpConnection:
    """A connection. All steps raise `Failed`; after that, or when `is_open` is false, there is only `close`."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext, own_name: str, limits: Limits) -> None:
        self._server, self._tls, self._own_name, self._limits = server, tls, own_name, limits
        self._secrets = secrets_of(server.username, server.password)
        self._where = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
        self._client = _Client(
            hostname=server.host,
            port=server.port,
            use_tls=server.scheme == "smtps",
            start_tls=False,
            tls_context=tls,
            timeout=limits.command_seconds,
            # Set when the own address is known; without a name, the library would ask a name server for one.
            local_hostname="localhost",
        )

    @property
    def is_open(self) -> bool:
        """Whether another mail can be tried."""
        return self._client.is_connected

    async def open(self) -> None:
        """All steps until mails can be sent."""
        try:
            async with asyncio.timeout(self._limits.step_seconds):
                await self.connect()
                await self.secure()
                await self.login()
        except TimeoutError:
            raise self._unreachable("no answer in time") from None

    async def connect(self) -> str:
        """Connect, and wait for the server to say who it is. Returns its address."""
        async with self._opening(""):
            await self._client.connect(timeout=self._limits.connect_seconds)
            self._client.local_hostname = self._own_name or _literal(self._address("sockname"))
        async with self._opening(" refuses our greeting"):
            await self._client.ehlo()
        return self._address("peername")

    async def secure(self) -> bool:
        """TLS, if it is not there already. False: there is none, to a server on this machine."""
        client, server = self._client, self._server
        if server.scheme == "smtp":
            offered = client.supports_extension("starttls")
            if server.is_loopback and not (offered and server.username and not client.supports_extension("auth")):
                return False
            if not offered:
                raise Failed(
                    Outcome.UNREACHABLE,
                    f"TLS is not offered by {self._where}, and without it nothing is sent to another machine",
                )
            async with self._opening(" refuses TLS"):
                await client.starttls()
                await client.ehlo()
        return True

    def secured(self) -> Secured:
        """What TLS has shown."""
        connected: ssl.SSLObject = self._info("ssl_object")
        certificate: dict[str, Any] = connected.getpeercert() or {}
        names = tuple(value for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "IP Address"})
        until = ssl.cert_time_to_seconds(certificate["notAfter"]) * 1000
        return Secured(connected.version() or "TLS", names, until)

    async def login(self) -> bool:
        """Log in, if the settings say as whom."""
        client, server = self._client, self._server
        if not server.username:
            return False
        if self._info("sslcontext") is None and not server.is_loopback:
            raise self._unreachable("no login without TLS")
        methods = client.server_auth_methods
        way = next((method for method in ("plain", "login") if method in methods), None)
        if way is None:
            raise Failed(Outcome.UNREACHABLE, f"{self._where} offers no login by a password (AUTH PLAIN or LOGIN)")
        async with self._opening(" refuses the login"):
            log_in = client.auth_plain if way == "plain" else client.auth_login
            await log_in(server.username, server.password)
        return True

    async def begin(self, sender: str, *, utf8: bool) -> None:
        """Name the sender. `utf8`: addresses with letters beyond ASCII will follow (RFC 6531)."""
        if utf8 and not self._client.supports_extension("smtputf8"):
            raise Failed(Outcome.REFUSED, "the mail server takes only letters of ASCII before the @ (no SMTPUTF8)")
        code, text = await self._command(
            Outcome.UNREACHABLE, b"MAIL", f"FROM:<{sender}>", *(("BODY=8BITMIME", "SMTPUTF8") if utf8 else ())
        )
        if code in _LOGIN_CODES or code == _GOING_DOWN:
            raise self._unreachable("", code, text)
        if code != 250:
            raise self._refusal("the sender is refused", code, text)

    async def recipient(self, address: str) -> None:
        """Name the recipient."""
        code, text = await self._command(Outcome.LATER, b"RCPT", f"TO:<{address}>")
        if code not in {250, 251}:
            raise self._refusal("the recipient is refused", code, text)

    async def content(self, data: bytes) -> str:
        """Send the mail itself. Returns what the server has answered."""
        try:
            response = await self._client.data(data, timeout=self._limits.accepted_seconds)
        except aiosmtplib.SMTPDataError as error:
            raise self._refusal("the mail is refused", error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise self._lost(Outcome.LATER, error) from error
        return reply(response.code, response.message, self._secrets)

    async def reset(self) -> None:
        """Forget the mail before this one. Fails if the connection has ended meanwhile."""
        code, text = await self._command(Outcome.UNREACHABLE, b"RSET")
        if code != 250:
            raise self._unreachable(" refuses another mail", code, text)

    async def close(self) -> None:
        """Say goodbye and let go."""
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await self._client.quit(timeout=self._limits.goodbye_seconds)
        await self.drop()

    async def drop(self) -> None:
        """Let go, without a word."""
        client = self._client
        client.close()
        # The loop closes the socket in its next rounds. A command that ends now must not leave it open.
        for _ in range(_ROUNDS):
            if client.latest is None or client.latest.transport is None:
                return
            await asyncio.sleep(0)

    async def _command(self, lost: Outcome, name: bytes, *arguments: str) -> tuple[int, str]:
        """The reply to a command. `lost` is the outcome if the connection is."""
        try:
            response = await self._client.execute_command(name, *(argument.encode() for argument in arguments))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise self._lost(lost, error) from error
        return response.code, response.message

    def _refusal(self, what: str, code: int, text: str) -> Failed:
        """What a reply means for this mail (RFC 5321 section 4.2.1)."""
        if not 400 <= code <= 599 or code == _GOING_DOWN:
            # The server ends the connection, or what comes next from it can't be known.
            self._client.close()
        for_good = 500 <= code <= 599 and code not in _LOGIN_CODES
        return Failed(Outcome.REFUSED if for_good else Outcome.LATER, f"{what}: {reply(code, text, self._secrets)}")

    def _lost(self, outcome: Outcome, error: Exception) -> Failed:
        self._client.close()
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return Failed(outcome, f"{self._where}: {reply(error.code, error.message, self._secrets)}")
        return Failed(outcome, f"{self._where}: {connection_reason(error)}")

    def _unreachable(self, what: str, code: int | None = None, text: str = "") -> Failed:
        said = what if code is None else f"{what}: {reply(code, text, self._secrets)}"
        return Failed(Outcome.UNREACHABLE, f"{self._where}{said if said.startswith((' ', ':')) else f': {said}'}")

    @asynccontextmanager
    async def _opening(self, refused: str) -> AsyncIterator[None]:
        """The whole server is out of reach if a step within fails."""
        try:
            yield
        except aiosmtplib.SMTPResponseException as error:
            raise self._unreachable(refused, error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            in_tls = is_about_tls(error)
            reason = f"{self._where}: {connection_reason(error)}"
            raise Failed(Outcome.UNREACHABLE, reason, in_tls=in_tls) from error

    def _address(self, name: str) -> str:
        """An end of the connection. Raises Failed."""
        found = self._info(name)
        if not found:
            # So says uvloop of a connection that the server has ended already.
            raise self._unreachable("the connection was lost")
        return str(found[0])

    def _info(self, name: str) -> Any:
        """What asyncio knows about the connection. Raises Failed if it has just ended."""
        try:
            return self._client.get_transport_info(name)
        except aiosmtplib.SMTPServerDisconnected as error:
            raise self._unreachable("the connection was lost") from error


def _literal(address: str) -> str:
    """How a client without a name presents itself (RFC 5321 section 4.1.3)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return f"[{found}]" if found.version == 4 else f"[IPv6:{found}]"
