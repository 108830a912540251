"""Makes the files that commands write, such as exports and backups."""

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
    """A new file with mode 600, open for writing. It gets its name when all of it is on disk; a failure removes it.

    Raises FileRefused if the file exists already or can't be written.
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
