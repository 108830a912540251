"""A real SMTP server for tests (aiosmtpd), in a thread of its own, which keeps what it gets.

with mail_server() as server:
    ... mail.url = server.url ...
    message = server.wait_for("lak@example.com")
    link_of(message), code_of(message), message.subject, message.text, message.html
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.mail.received import Received, code_of, link_of

__all__ = ["MailServer", "Received", "code_of", "link_of", "mail_server"]

DEADLINE_SECONDS = 20
Security = Literal["plain", "starttls", "smtps"]


@dataclass
class MailServer:
    """What it got, and how to reach it. `replies` may change what it answers: `MAIL`, `RCPT` or `DATA`."""

    host: str
    security: Security
    login: tuple[str, str] | None
    port: int = 0
    replies: dict[str, str | Callable[[str], str | None]] = field(default_factory=dict)
    # The commands that end a mail or a connection, in their order.
    ends: list[str] = field(default_factory=list)
    connections: int = 0
    _received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """The `mail.url` that leads here."""
        name = "smtps" if self.security == "smtps" else "smtp"
        user = ":".join(quote(part, safe="") for part in self.login) + "@" if self.login else ""
        return f"{name}://{user}{self.host}:{self.port}"

    @property
    def messages(self) -> list[Received]:
        """All mails so far."""
        with self._changed:
            return list(self._received)

    def to(self, recipient: str) -> list[Received]:
        """All mails so far to that address."""
        return [message for message in self.messages if message.recipient == recipient]

    def wait_for(self, recipient: str | None = None, count: int = 1) -> Received:
        """The mail with that number, to that address or to anybody, once it is there."""
        return self.wait_for_all(recipient, count)[count - 1]

    def wait_for_all(self, recipient: str | None, count: int) -> list[Received]:
        """So many mails, once they are there."""

        def found() -> list[Received]:
            return [one for one in self._received if recipient in {None, one.recipient}]

        with self._changed:
            came = self._changed.wait_for(lambda: len(found()) >= count, DEADLINE_SECONDS)
            assert came, f"{len(found())} of {count} mails to {recipient or 'anybody'} came"
            return found()

    def clear(self) -> None:
        """Forget what came."""
        with self._changed:
            self._received.clear()

    def add(self, message: Received) -> None:
        with self._changed:
            self._received.append(message)
            self._changed.notify_all()


class _Handler:
    """What aiosmtpd asks."""

    def __init__(self, kept: MailServer) -> None:
        self._kept = kept

    def _reply(self, command: str, argument: str) -> str | None:
        reply = self._kept.replies.get(command)
        return reply(argument) if callable(reply) else reply

    async def handle_EHLO(
        self, server: _Smtp, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: _Smtp, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._kept.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        refused = self._reply("MAIL", address)
        if refused is None:
            envelope.mail_from, envelope.mail_options = address, options
        return refused or "250 OK"

    async def handle_RCPT(
        self, server: _Smtp, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self._reply("RCPT", address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: _Smtp, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        recipient = envelope.rcpt_tos[0]
        refused = self._reply("DATA", recipient)
        self._kept.ends.append("DATA")
        if refused is None:
            tls = server.transport is not None and server.transport.get_extra_info("sslcontext") is not None
            user = cast(bytes, session.auth_data).decode() if session.authenticated else None
            utf8 = bool(envelope.smtp_utf8)
            number, client = server.number, str(session.host_name)
            sender = envelope.mail_from or ""
            self._kept.add(Received(sender, recipient, content, tls, user, utf8, number, client))
        return refused or "250 2.0.0 queued as 1"

    async def handle_RSET(self, server: _Smtp, session: Session, envelope: Envelope) -> str:
        self._kept.ends.append("RSET")
        return "250 OK"

    async def handle_QUIT(self, server: _Smtp, session: Session, envelope: Envelope) -> str:
        self._kept.ends.append("QUIT")
        return "221 Bye"

    async def handle_exception(self, error: Exception) -> str:
        return f"500 {type(error).__name__}: {error}"


class _Smtp(SMTP):
    """The protocol of aiosmtpd, with a number for its connection."""

    number = 0

    def __init__(self, kept: MailServer, clients: set[_Smtp], **options: Any) -> None:
        super().__init__(_Handler(kept), **options)
        self._kept, self._clients = kept, clients
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self._clients:
            self._clients.add(self)
            self._kept.connections += 1
            self.number = self._kept.connections
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._clients.discard(self)
        self.gone.set()
        super().connection_lost(error)


@contextlib.contextmanager
def mail_server(
    security: Security = "plain",
    *,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    utf8: bool = True,
    handler: MailServer | None = None,
) -> Iterator[MailServer]:
    """A server that listens on 127.0.0.1; `host` is the name in its URL.

    `tls` is its certificate (tests/certificates.py), for starttls and smtps. `login`: only who logs in may send.
    `handler` takes what an earlier server had got, for one that comes back.
    """
    kept = handler or MailServer(host, security, login)
    kept.port = port
    started, ended = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = login is not None and (data.login, data.password) == (login[0].encode(), login[1].encode())
        return AuthResult(success=right, handled=False, auth_data=data.login)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        clients: set[_Smtp] = set()
        exclude = () if login else ("PLAIN", "LOGIN")

        def client() -> _Smtp:
            return _Smtp(
                kept,
                clients,
                loop=loop,
                hostname="mail.test",
                enable_SMTPUTF8=utf8,
                tls_context=tls if security == "starttls" else None,
                require_starttls=security == "starttls",
                authenticator=check,
                auth_require_tls=security == "starttls",
                auth_exclude_mechanism=exclude,
            )

        server = await loop.create_server(client, "127.0.0.1", port, ssl=tls if security == "smtps" else None)
        kept.port = server.sockets[0].getsockname()[1]
        loops.append(loop)
        started.set()
        await ended.wait()
        server.close()
        for one in list(clients):
            if isinstance(one.transport, asyncio.WriteTransport):
                one.transport.abort()
        await server.wait_closed()
        await asyncio.gather(*(one.gone.wait() for one in list(clients)))

    with ThreadPoolExecutor(1, "mail-server") as threads:
        done = threads.submit(lambda: asyncio.run(serve()))
        done.add_done_callback(lambda _: started.set())
        started.wait(DEADLINE_SECONDS)
        try:
            if not loops:
                done.result(DEADLINE_SECONDS)
            yield kept
        finally:
            if loops and not done.done():
                loops[0].call_soon_threadsafe(ended.set)
            done.result(DEADLINE_SECONDS)
