"""Where tests keep their files: in memory, if there is room.

Hundreds of stores are made, and each waits for the disk at every commit. No test cuts the power of the machine.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - the names below it are of one user or random


def has_room(gigabytes: int) -> bool:
    """Whether so much is free there. In a container it may have 64 MB, and other systems have no such folder."""
    return os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= gigabytes * 2**30


def keep_temporary_files_there() -> None:
    """From now on pytest makes the folders of its tests there."""
    if has_room(8):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
