"""`python -m server` with a parent that is less patient, a child that is not its own, and a worker that may hang."""

from __future__ import annotations

import os
import time
from pathlib import Path

from server.cli import main, restarts, supervisor, worker

HANG = Path("hang")


class OddWorker(worker.Worker):
    def tell_ready(self) -> None:
        hangs = HANG.exists()
        super().tell_ready()
        if hangs:
            HANG.unlink()
            # The event loop answers nobody from here on.
            time.sleep(3600)


if __name__ == "__main__":
    # Also on a busy machine a worker answers in this time.
    supervisor.HUNG_SECONDS = 5.0
    supervisor.TICK_SECONDS = worker.BEAT_SECONDS = 0.2
    restarts.FIRST_PAUSE_SECONDS = 0.01
    restarts.LONGEST_PAUSE_SECONDS = 0.02
    # `serve` is imported when it is called.
    worker.Worker = OddWorker  # type: ignore[misc]
    if os.fork() == 0:
        os._exit(0)
    main()
