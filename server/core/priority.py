"""Threads that give way to everything else."""

from __future__ import annotations

import os
import sys
import threading

LOWEST_PRIORITY = 19


def lower_priority() -> None:
    """Set the priority of this thread on Linux (setpriority(2), NOTES). Elsewhere it would be that of the process."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
