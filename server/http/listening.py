"""The socket that the server listens on."""

from __future__ import annotations

import errno
import socket
import time

from server.core.errors import ConfigurationError

# As much of an answer the system takes before the client's side has room for it. By default it takes 4 MB, and clients
# that read nothing could use up its memory for all connections.
UNSENT_BYTES = 131_072
# So long a start waits for its port. The processes of a server that was killed (kill -9) have it until the system has
# ended the last of them, and a service manager starts the next server at once.
PORT_SECONDS = 2.0
_RETRY_SECONDS = 0.05
# The remedy for each error number of an address that can't be used.
_REMEDIES = {
    errno.EADDRINUSE: "does Watchword run already? Else choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 is for its own programs, 0.0.0.0 is all it has",
    errno.EACCES: "ports below 1024 take a right (CAP_NET_BIND_SERVICE); choose a higher one, or give that right",
    errno.EAFNOSUPPORT: "this machine does not speak that kind of address; choose another host",
}


def listen_on(host: str, port: int, section: str = "server", *, wait_seconds: float = 0.0) -> socket.socket:
    """A socket that is bound to that address and does not listen yet. Raises ConfigurationError.

    `section` is that of the two settings. The start binds the socket before it changes the store, so a port in use
    gives one clear line and has no other effect. A port in use is tried again for `wait_seconds`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        raise _problem(section, host, port, f"{reason}; write an address, or a name that this machine knows") from None
    until = time.monotonic() + wait_seconds
    while True:
        listening = None
        try:
            listening = socket.socket(family, kind, protocol)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                # Its connections inherit it.
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            listening.bind(address)
        except OSError as error:
            if listening is not None:
                listening.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(_RETRY_SECONDS)
                continue
            raise _refused(section, host, port, error) from None
        return listening


def begin_to_listen(listening: socket.socket, backlog: int, section: str = "server") -> None:
    """Let that bound socket accept connections. Raises ConfigurationError.

    Two servers that are started at the same moment can both bind (SO_REUSEADDR), and the second one fails only here.
    It must not be left to uvloop, which ignores the error (seen in 0.23) and would let it run without a connection.
    """
    try:
        listening.listen(backlog)
    except OSError as error:
        host, port = listening.getsockname()[:2]
        raise _refused(section, host, port, error) from None


def _refused(section: str, host: str, port: int, error: OSError) -> ConfigurationError:
    remedy = _REMEDIES.get(error.errno or 0, "choose another host or port")
    return _problem(section, host, port, f"{error.strerror or error}; {remedy}")


def _problem(section: str, host: str, port: int, reason: str) -> ConfigurationError:
    return ConfigurationError([f"{section}.host, {section}.port: can't listen on {host} port {port}: {reason}"])
