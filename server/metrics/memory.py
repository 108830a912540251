"""The numbers of all processes, in memory that they share.

prometheus-client has a multiprocess mode of its own, which keeps a file for each process in a folder. This has no
files. So a `kill -9` leaves nothing that the next start has to remove, a full disk does not end a process that counts
(a page of a file that can't be written is SIGBUS), a file system that is read-only is no trouble, and workers that are
replaced leave no files that every scrape has to read. It also costs a third: counting is one addition in memory, where
that mode takes a lock, asks for the process id and packs two numbers. And how a number is put together from those of
the workers can be decided for each, for example that an age grows while its worker hangs.
"""

from __future__ import annotations

import mmap

_BYTES = 8


class SharedMemory:
    """A row of numbers for each process that counts. Forked processes share it; it is gone with the last of them.

    Each row has one writer at a time: a worker, then its replacement, which goes on where the worker ended. So counts
    never go back, and no lock is needed. All write on their event loop only.
    """

    def __init__(self, rows: int, cells: int) -> None:
        # Without a file, it is shared with the processes that are forked later, and all zeros. Pages that are never
        # touched take no memory.
        numbers = memoryview(mmap.mmap(-1, rows * cells * _BYTES)).cast("d")
        self.rows = [numbers[row * cells : (row + 1) * cells] for row in range(rows)]
