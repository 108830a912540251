"""Files that commands make."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from server.errors import FileRefused


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there, for its owner alone: on disk at the end, or gone if anything went wrong meanwhile.

    Raises FileRefused.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise FileRefused(f"{path} is there already; choose another name") from None
    except OSError as error:
        raise FileRefused(f"{path} can't be made ({error.strerror})") from None
    try:
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        path.unlink()
        raise FileRefused(f"{path} can't be written ({error.strerror})") from None
    except BaseException:
        path.unlink()
        raise
