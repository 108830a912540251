"""What the errors of connections are called."""

from __future__ import annotations

import os
import ssl

from aiosmtplib import SMTPServerDisconnected

from server.mail.transport.reasons import one_line


def connection_reason(error: BaseException) -> str:
    """Why a connection could not be made, or broke."""
    if not isinstance(error, TimeoutError) and isinstance(error.__cause__, Exception):
        # The library's own text names the server, which is said already.
        return connection_reason(error.__cause__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason given').replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ValueError):
        return "its name is no name of a host"
    if isinstance(error, SMTPServerDisconnected):
        return "the connection was lost"
    if isinstance(error, OSError) and error.errno:
        # asyncio's own texts have addresses in them. Those of name servers have negative numbers.
        return (os.strerror(error.errno) if error.errno > 0 else error.strerror) or "no connection"
    return one_line(str(error)) or "the connection was lost"


def is_about_tls(error: BaseException) -> bool:
    """Whether TLS failed, or a certificate was refused."""
    return isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)
