"""`python -m server`, which tells at its end for how long the event loop worked before it looked for requests again.

In CPU time of the loop's thread, so it hardly matters what else the machine does. The loop never sleeps meanwhile, so
this is of no use with storms that wait for hashes.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import time

from server.cli import main, serve

# Of shorter ones there are too many.
LEAST_SECONDS = 0.0002
MARK = "longest look of the event loop: "


def note_looks() -> None:
    """From when the server listens."""
    took: list[float] = []
    begin = serve._calm_garbage_collector

    def begin_noting() -> None:
        begin()
        loop, last = asyncio.get_running_loop(), time.thread_time()

        def look() -> None:
            nonlocal last
            now = time.thread_time()
            if now - last > LEAST_SECONDS:
                took.append(now - last)
            last = now
            loop.call_soon(look)

        look()

    serve._calm_garbage_collector = begin_noting
    # The streams of the server are closed by then.
    atexit.register(lambda: os.write(2, f"{MARK}{max(took, default=0.0) * 1000:.1f} ms\n".encode()))


if __name__ == "__main__":
    note_looks()
    main()
