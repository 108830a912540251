"""How long one request may wait for the store in all: each of its calls may be slow, and it makes several."""

from __future__ import annotations

from contextvars import ContextVar

# The answer is there within five: a revocation of its own may be waited for, for a second, beyond this.
REQUEST_SECONDS = 3.5


class Patience:
    """The seconds that are left: of a request, or of a call that no request makes."""

    left = REQUEST_SECONDS


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def current_patience() -> Patience:
    """That of the request which this task answers; else a whole one."""
    return _patience.get() or Patience()


def set_patience() -> None:
    """From now on this task, and those that it starts, answer a request."""
    _patience.set(Patience())
