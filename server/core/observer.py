"""Who is told of what is done. Metrics and traces are made of it; without them nobody listens."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, Protocol

# `follow` reads what was added since the last time, such as revocations.
StoreOperation = Literal["read", "write", "follow"]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Blocks in which something ends well or with an error. Handlers put them around what they do."""

    login: AbstractContextManager[None] = field(default_factory=nullcontext)
    refresh: AbstractContextManager[None] = field(default_factory=nullcontext)


class Observer(Protocol):
    """Is told of the slow work: calls of the store, and password hashes.

    It is called on the event loop, in the task whose work it was. Times are of `time.monotonic()`.
    """

    def store_used(self, operation: StoreOperation, started: float, *, failed: bool) -> None:
        """A call of the store has ended just now. It has failed if the store did not answer."""
        ...

    def hashed(self, submitted: float, began: float) -> None:
        """A password was hashed or compared until now; it waited in the queue until `began`."""
        ...


class Observers:
    """Several of them."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def store_used(self, operation: StoreOperation, started: float, *, failed: bool) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.store_used(operation, started, failed=failed)

    def hashed(self, submitted: float, began: float) -> None:
        """Tell each."""
        for observer in self._observers:
            observer.hashed(submitted, began)
