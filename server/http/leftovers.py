"""What a connection leaves: bytes that nobody has read, and errors that would keep it in memory."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import hdrs

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from aiohttp.web_protocol import RequestHandler
    from yarl import URL


def is_readable(url: URL) -> bool:
    """Whether aiohttp can make a request of this target.

    Its parser in Python takes a host that is not ASCII. The task of the connection would end without an answer, and
    leave it open.
    """
    try:
        return not url.absolute or url.host is not None
    except ValueError:
        return False


def has_nothing_behind(data: bytes, message: RawRequestMessage) -> bool:
    """Whether the request is all that came.

    aiohttp drops what came in one piece behind a request for a protocol that it does not know, such as h2c. If that
    was the half of a request, its other half would be read as one. Nothing is known if the parser had kept the request
    behind many others, since it came with earlier data.
    """
    _, end, rest = data.partition(b"\r\n\r\n")
    return bool(end) and len(rest) == int(message.headers.get(hdrs.CONTENT_LENGTH, 0))


def take_tail(protocol: RequestHandler) -> bytes:
    """What came behind a request to upgrade that is declined. After that the parser goes on with HTTP.

    aiohttp would give it to the parser past `data_received`, so nobody would look at the requests in it.
    """
    parser = protocol._parser  # noqa: SLF001 - there is no other way
    if parser is None or not protocol._upgraded or protocol._payload_parser is not None:  # noqa: SLF001
        return b""
    parser.set_upgraded(False)
    protocol._upgraded = False  # noqa: SLF001
    tail, protocol._message_tail = protocol._message_tail, b""  # noqa: SLF001
    return tail


def unread_bytes(transport: asyncio.Transport) -> int:
    """Bytes of answers that the client has not received: those in the transport's buffer and in the system's."""
    taken = bytes(4)
    # macOS does not support this request.
    with suppress(OSError):
        taken = fcntl.ioctl(transport.get_extra_info("socket"), termios.TIOCOUTQ, taken)
    return transport.get_write_buffer_size() + int.from_bytes(taken, sys.byteorder)


def take_error(task: asyncio.Task[None]) -> None:
    """Take the error out of a cancelled task. Its frames hold the task, the connection and unread data."""
    if task.cancelled():
        with suppress(asyncio.CancelledError):
            task.exception()


def forget(error: BaseException) -> None:
    """Drop the traceback. Its frames refer to received data and to the error, and only a collection would free them."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
