"""Who acts and from where: the audit log records this with each change, and mails speak the language.

It is in a context variable, so services and queries do not pass it on. The HTTP edge sets it for a request, the command
line for a command; if it is not set, the server itself acts.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Origin:
    """`via` is "http", "command line" or "server".

    The actor is None if the caller has no token. On the command line `actor_name` is the user of the operating system
    and `actor_id` is None. `languages` are those that the request prefers, the best one first; the audit log does not
    keep them.
    """

    via: str
    actor_id: str | None = None
    actor_name: str | None = None
    ip: str | None = None
    request_id: str | None = None
    languages: tuple[str, ...] = ()


# A function, not a value: a request that changes nothing never computes its origin.
Source = Callable[[], Origin]

_source: ContextVar[Source | None] = ContextVar("origin", default=None)


def current_origin() -> Origin:
    """Who acts in this task, at this moment."""
    source = _source.get()
    return Origin("server") if source is None else source()


def set_origin(source: Source) -> Token[Source | None]:
    """From now on `source` says who acts in this task and in the tasks that it starts."""
    return _source.set(source)


def reset_origin(before: Token[Source | None]) -> None:
    """Undo `set_origin`, which returned the token."""
    _source.reset(before)
