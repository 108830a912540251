"""Text that somebody wrote in a file or piped in, read as it was meant.

Editors and shells of Windows put a byte order mark (BOM) in front, and end lines with CR and LF. Neither belongs to the
text. UTF-16, which PowerShell writes by `>`, is told by its mark.
"""

from __future__ import annotations

import codecs
import errno
import os
from pathlib import Path
from typing import BinaryIO

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Ten times as much as is written by hand; a device such as /dev/urandom never ends.
_LARGEST = 1 << 20


def read_text(path: Path) -> str:
    """A file that somebody wrote. Raises OSError, also if it is larger than 1 MiB, and UnicodeDecodeError."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return decode_text(data)


def decode_text(data: bytes, errors: str = "strict") -> str:
    """UTF-8 or, with a byte order mark, UTF-16; without the mark. Raises UnicodeDecodeError, if `errors` are strict."""
    return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig", errors)


def first_line(file: BinaryIO) -> str:
    """The first line, without its end. Raises UnicodeDecodeError."""
    data = file.readline()
    if data.startswith(_UTF_16):
        # Half of the line's end is still there.
        data += file.read()
    return without_line_end(decode_text(data).partition("\n")[0])


def without_line_end(text: str) -> str:
    """Without the line breaks at its end, and without a byte order mark that came as a character."""
    return text.removeprefix("\ufeff").rstrip("\r\n")
