"""An SMTP server that misbehaves: it answers each command with what a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Bad(Enum):
    """What a server may do in place of a reply."""

    # It says nothing, and keeps the connection.
    MUTE = auto()
    DROP = auto()
    # A reply of many lines that never ends, and a line that never ends.
    ENDLESS_LINES = auto()
    ENDLESS_LINE = auto()


Reply = bytes | Bad
# Where the name of a command would stand: the greeting, and the end of a mail.
GREETING, MAIL_END = "greeting", "."
_WELL: dict[str, Reply] = {
    GREETING: b"220 raw.test at your service\r\n",
    "EHLO": b"250-raw.test\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
    "HELO": b"250 raw.test\r\n",
    "AUTH": b"235 welcome\r\n",
    "MAIL": b"250 OK\r\n",
    "RCPT": b"250 OK\r\n",
    "DATA": b"354 go on\r\n",
    MAIL_END: b"250 queued\r\n",
    "RSET": b"250 OK\r\n",
    "QUIT": b"221 bye\r\n",
}


@dataclass
class RawServer:
    """`heard` are the lines that came; what belongs to a mail is one line of it."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    connections: int = 0
    # What it says without being asked when the client begins TLS.
    after_starttls: bytes = b""

    async def pause(self) -> None:
        """What it waits for before each answer."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            going_on = await self._answer(writer, GREETING)
            while going_on:
                line = (await reader.readuntil(b"\r\n")).decode().rstrip()
                self.heard.append(line)
                name = line.split(" ")[0]
                going_on = await self._answer(writer, name)
                if name == "STARTTLS" and self.after_starttls:
                    # The beginning of TLS has no line break that could be waited for.
                    await reader.read(1)
                    writer.write(self.after_starttls)
                    going_on = False
                if name == "DATA" and "DATA" not in self.replies:
                    mail = await reader.readuntil(b"\r\n.\r\n")
                    self.heard.append(mail.decode())
                    going_on = await self._answer(writer, MAIL_END)
                going_on = going_on and name != "QUIT"

    async def _answer(self, writer: asyncio.StreamWriter, name: str) -> bool:
        """Answer, and say whether the conversation goes on."""
        await self.pause()
        reply = self.replies.get(name, _WELL.get(name, b"500 what?\r\n"))
        while reply in {Bad.ENDLESS_LINES, Bad.ENDLESS_LINE}:
            writer.write(b"250-more\r\n" * 100 if reply is Bad.ENDLESS_LINES else b"x" * 1000)
            await writer.drain()
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        return reply is not Bad.DROP


@contextlib.asynccontextmanager
async def raw_server(
    replies: Mapping[str, Reply] | None = None, kind: type[RawServer] = RawServer
) -> AsyncIterator[RawServer]:
    """A server on 127.0.0.1 that answers well, but for these replies."""
    kept = kind(replies=dict(replies or {}))
    talks: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await kept.talk(reader, writer)
        finally:
            talks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        for talk in list(talks):
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()
