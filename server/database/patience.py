"""How long a request may wait for the store in all of its calls together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

# An answer takes at most five seconds: after this, a request may still wait a second for its own revocation.
REQUEST_SECONDS = 3.5


class Patience:
    """The seconds that a request, or a call outside of a request, may still wait for the store."""

    left = REQUEST_SECONDS


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def current_patience() -> Patience:
    """The patience of the request that this task answers; a new one outside of a request."""
    return _patience.get() or Patience()


def set_patience() -> None:
    """Give a new request its patience, in this task and the tasks that it starts."""
    _patience.set(Patience())


def with_own_patience(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that waits for the store as long as a request of its own. In all else it belongs to this request."""
    context = copy_context()
    context.run(set_patience)
    return asyncio.create_task(work, context=context)
