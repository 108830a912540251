"""`python -m server`, which also tells how many tasks and connections it has, to whom connects to a Unix socket."""

from __future__ import annotations

import asyncio.tasks
import gc
import json
import os
import signal
import socket
import threading

from server.cli import main
from server.http.connection import EdgeProtocol

SOCKET = "WATCHED_SOCKET"


def _tell(listening: socket.socket) -> None:
    # Signals are for the thread of the server that waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        asker, _ = listening.accept()
        with asker:
            tasks = sum(not task.done() for task in list(asyncio.tasks._all_tasks))  # type: ignore[attr-defined]
            connections = sum(type(thing) is EdgeProtocol for thing in gc.get_objects())
            asker.sendall(json.dumps([tasks, connections]).encode())


if __name__ == "__main__":
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.environ.pop(SOCKET))
    listening.listen()
    threading.Thread(target=_tell, args=(listening,), daemon=True).start()
    main()
