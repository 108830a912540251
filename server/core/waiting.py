"""Whether the code that runs now may wait."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator


@types.coroutine
def in_a_task() -> Generator[None]:
    """Await this before what may wait, on the way of requests that are answered without a task.

    In a task it does nothing. Without one the coroutine stops here, and whoever runs it begins anew in a task
    (server/http/immediate.py): timeouts and locks need one.
    """
    if asyncio.current_task() is None:
        yield
