"""How `config reload` finds the running server, and hears what came of it.

A server listens on an abstract Unix socket (unix(7)) whose name has a digest of the path of its settings file. Such a
name is no file: it needs no folder, can't be left behind, and nobody can put a link in its place. The kernel says who
is at the other end. The socket asks for nothing: the signal does, and who is connected then gets the outcome.

Other systems than Linux have no such sockets. There the signal alone does it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from server.cli.reload_outcome import Outcome
from server.core.errors import WatchwordError
from server.files.ownership import user_name

# Those who wait for the outcome of one reload.
_BACKLOG = 16
_SEND_SECONDS = 0.5
# A reload takes well below a second, unless the store is away.
ANSWER_SECONDS = 60.0
# A server accepts at once, unless so many wait already.
CONNECT_SECONDS = 2.0
_LONGEST_ANSWER = 1 << 20
_CREDENTIALS = struct.Struct("3i")


class Waiters:
    """The server's side: the commands that wait for the outcome of a reload."""

    def __init__(self, settings_file: Path) -> None:
        self._socket: socket.socket | None = None
        if sys.platform == "linux":
            # Where a sandbox forbids it, `config reload` finds no server, and the signal still works.
            with suppress(OSError):
                listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket = listening
                listening.setblocking(False)
                listening.bind(f"{_beginning(settings_file)}{os.getpid()}")
                listening.listen(_BACKLOG)

    def accept(self) -> list[socket.socket]:
        """Those who wait now. Only root and the user of the server may."""
        accepted: list[socket.socket] = []
        with suppress(OSError):
            while self._socket is not None:
                connection, _ = self._socket.accept()
                if _peer(connection)[1] in {0, os.geteuid()}:
                    accepted.append(connection)
                else:
                    connection.close()
        return accepted

    def answer(self, waiting: Iterable[socket.socket], outcome: Outcome) -> None:
        """Tell them."""
        for connection in waiting:
            with suppress(OSError), connection:
                connection.settimeout(_SEND_SECONDS)
                connection.sendall(outcome.to_json().encode())
                # A worker that was forked meanwhile has the connection too, so closing it here would not end it.
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close this process's descriptor. A child of the server does so."""
        if self._socket is not None:
            self._socket.close()


def reload_running(settings_file: Path) -> Outcome:
    """Let every server here that runs with this file reload. Raises WatchwordError, also if there is none.

    Any user can listen on such a name. So all are told before the first answer is awaited, and whoever answers nothing
    or nonsense keeps nobody from being told.
    """
    if sys.platform != "linux":
        raise WatchwordError("on this system send SIGHUP to the server instead: kill -HUP PID; its log tells the rest")
    names = _names(settings_file)
    if not names:
        raise WatchwordError(f"no server runs here with {settings_file}; name its file with --config, or start it")
    with ExitStack() as stack:
        servers = [_Server(stack.enter_context(socket.socket(socket.AF_UNIX)), name, len(names)) for name in names]
        for server in servers:
            server.tell()
        # Those of other users are of interest only if nobody else is there.
        told = [server for server in servers if not server.is_foreign] or servers
        deadline = time.monotonic() + ANSWER_SECONDS
        outcomes = [server.outcome(deadline) for server in told]
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    if problems:
        raise WatchwordError("; ".join(problems))
    return Outcome(
        *(
            list(dict.fromkeys(name for outcome in outcomes for name in getattr(outcome, kind)))
            for kind in ("changed", "needs_restart")
        )
    )


class _Server:
    """One that may be ours. What goes wrong with it becomes a problem of its outcome."""

    def __init__(self, connection: socket.socket, name: str, count: int) -> None:
        self.is_foreign = False
        self._connection = connection
        self._name = name
        self._is_one_of_many = count > 1
        self._who = "the server"
        self._failed = ""

    def tell(self) -> None:
        """Connect, and send SIGHUP."""
        self._connection.settimeout(CONNECT_SECONDS)
        try:
            self._connection.connect(self._name)
            pid, user = _peer(self._connection)
            if self._is_one_of_many:
                self._who = f"the server (pid {pid}, of {user_name(user)})"
            self.is_foreign = os.geteuid() not in {0, user}
            _hang_up(pid, user)
        except OSError as error:
            self._failed = f"{self._who} can't be asked ({error.strerror or error}); see its log"
        except WatchwordError as error:
            self._failed = str(error)

    def outcome(self, deadline: float) -> Outcome:
        """What came of it; waits until then."""
        if self._failed:
            return Outcome(problems=[self._failed])
        told = b""
        try:
            while len(told) <= _LONGEST_ANSWER:
                self._connection.settimeout(max(0.001, deadline - time.monotonic()))
                part = self._connection.recv(65536)
                if not part:
                    break
                told += part
        except TimeoutError:
            return Outcome(problems=[f"{self._who} did not answer within {ANSWER_SECONDS:.0f} s; see its log"])
        except OSError:
            # It is gone.
            told = b""
        try:
            outcome = Outcome.from_json(told.decode("utf-8", "replace"))
        except (ValueError, KeyError, TypeError):
            return Outcome(problems=[f"{self._who} ended before it answered"])
        if outcome.problems:
            return Outcome(problems=[f"{self._who} keeps its settings: {'; '.join(outcome.problems)}"])
        return outcome


def _names(settings_file: Path) -> list[str]:
    beginning = _beginning(settings_file).replace("\0", "@")
    lines = Path("/proc/net/unix").read_text("utf-8", "replace").splitlines()
    # Only what listens, which has the flag __SO_ACCEPTCON; each connection has a line with the same name.
    fields = (line.split() for line in lines if beginning in line)
    return sorted({part[-1].replace("@", "\0", 1) for part in fields if int(part[3], 16) & 0x10000})


def _hang_up(pid: int, user: int) -> None:
    """Send SIGHUP. The process is held by a descriptor, so the signal can't reach another one with the same number."""
    if os.geteuid() not in {0, user}:
        raise WatchwordError(f"the server (pid {pid}) belongs to {user_name(user)}; run this as that user, or as root")
    if pid == 0:
        raise WatchwordError("the server is in another container; run this there, or send SIGHUP to its first process")
    try:
        process = os.pidfd_open(pid)
    except OSError as error:
        raise WatchwordError(f"the server (pid {pid}) has just ended ({error.strerror})") from None
    try:
        if user not in _users(pid):
            raise WatchwordError(f"the server (pid {pid}) has just ended ({os.strerror(errno.ESRCH)})")
        signal.pidfd_send_signal(process, signal.SIGHUP)
    finally:
        os.close(process)


def _users(pid: int) -> set[int]:
    """Real and effective user of a process (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(number) for line in lines if line.startswith("Uid:") for number in line.split()[1:3]}


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end, as the kernel knows them: of who has connected, or who listens."""
    pid, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, user


def _beginning(settings_file: Path) -> str:
    digest = hashlib.sha256(os.fsencode(settings_file)).hexdigest()[:32]
    return f"\0watchword-reload-{digest}-"
