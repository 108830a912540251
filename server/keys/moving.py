"""What happens to the master key when the store is moved: the sealed keys are copied as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from server.core.ids import Ids
from server.keys.master_key_file import master_key_path, read_keys, unchanged
from server.keys.model import KeyRecord
from server.keys.sealing import MasterKey
from server.settings import Settings
from server.settings.secrets import texts


class MovedKey(NamedTuple):
    """The file to put beside an SQLite store, if it needs one, and what to say about the master key."""

    file: bytes | None
    about: str


@contextmanager
def moved_key(settings: Settings, records: Sequence[KeyRecord], ids: Ids, *, to_sqlite: bool) -> Iterator[MovedKey]:
    """The key that opens these records. It can't change during the block. Raises StoreRefused if it opens them not."""
    path = master_key_path(settings)
    if path is None:
        MasterKey(texts(settings.keys.master_key), ids).require_opens(records, _refusal("keys.master_key"))
        yield MovedKey(None, "keys.master_key stays in the settings")
    elif not any(record.sealed for record in records) and not os.path.lexists(path):
        about = "there is no master key yet"
        yield MovedKey(None, about if to_sqlite else f"{about}: set keys.master_key (openssl rand -base64 32)")
    else:
        with unchanged(path):
            keys = read_keys(path)
            MasterKey(keys, ids).require_opens(records, _refusal(path))
            if to_sqlite:
                yield MovedKey(path.read_bytes(), "the master key goes with it, in the .key file beside the database")
            else:
                lines = "the line" if len(keys) == 1 else "the list of the lines"
                yield MovedKey(None, f"set keys.master_key to {lines} in {path}")


def _refusal(name: str | Path) -> str:
    return f"{name} does not open the keys of this store; put the right master key there"
