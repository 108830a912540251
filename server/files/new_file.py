"""Files that commands make."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from server.core.errors import FileRefused
from server.files import drafts


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there, for its owner alone: under its name when it is whole and on disk, else not at all.

    Raises FileRefused.
    """
    with drafts.unfinished(path) as (draft, _):
        try:
            with os.fdopen(drafts.make(draft), "wb") as opened:
                yield opened
            drafts.give_name(draft, path)
        except FileExistsError:
            raise FileRefused(f"{path} is there already; choose another name") from None
        except OSError as error:
            raise FileRefused(f"{path} can't be written ({error.strerror})") from None
