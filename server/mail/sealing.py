"""Seals what waits in the store to be mailed: it holds links and codes, and whoever reads the store must not get in.

The key is derived from the current key of tokens. So after `keys replace` nobody can read what was sealed before; what
it was good for is not valid any more either.
"""

from __future__ import annotations

from collections.abc import Callable

from server.core.ids import Ids
from server.core.sealing import Seal


class Sealing:
    """The seal under the current key, which `key` returns (it may raise StoreUnavailable). For the event loop alone."""

    def __init__(self, key: Callable[[], bytes], ids: Ids) -> None:
        self._key_of_today = key
        self._ids = ids
        self._key = b""
        self._seal: Seal | None = None

    def current(self) -> Seal:
        """The seal of this moment, for a transaction that may run in another thread. Raises StoreUnavailable."""
        key = self._key_of_today()
        if self._seal is None or key != self._key:
            self._key, self._seal = key, Seal(key, self._ids)
        return self._seal
