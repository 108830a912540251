"""Who acts and from where: what the audit log says of whoever makes a change.

It goes along with a task by a context variable, so no service and no query passes it on. What answers a request or runs
a command says so; everything else is the server itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Origin:
    """`via` is "http", "command line" or "server".

    The actor is None for a caller without a token; on the command line `actor_name` is the user of the operating
    system, and there is no `actor_id`.
    """

    via: str
    actor_id: str | None = None
    actor_name: str | None = None
    ip: str | None = None
    request_id: str | None = None


# Tells the origin when it is asked, so a request that changes nothing does not work it out.
Source = Callable[[], Origin]

_source: ContextVar[Source | None] = ContextVar("origin", default=None)


def current_origin() -> Origin:
    """Who acts in this task, at this moment."""
    source = _source.get()
    return Origin("server") if source is None else source()


def set_origin(source: Source) -> Token[Source | None]:
    """From now on `source` tells who acts in this task, and in those that it starts."""
    return _source.set(source)


def reset_origin(before: Token[Source | None]) -> None:
    """As it was before `set_origin`."""
    _source.reset(before)
