"""Reads text that people wrote into a file or piped into a command.

Editors and shells of Windows put a byte order mark (BOM) in front and end lines with CR and LF. Both are removed.
PowerShell's `>` writes UTF-16, which is recognised by its BOM.
"""

from __future__ import annotations

import codecs
import errno
import os
from pathlib import Path
from typing import BinaryIO

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# Bytes; far more than people write by hand. A device such as /dev/urandom never ends, so there has to be a limit.
_LARGEST = 1 << 20


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError, also if the file is larger than 1 MiB, and UnicodeDecodeError."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return decode_text(data)


def decode_text(data: bytes, errors: str = "strict") -> str:
    """Decode UTF-8, or UTF-16 with its BOM, and remove the BOM. Raises UnicodeDecodeError if `errors` is strict."""
    return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig", errors)


def first_line(file: BinaryIO) -> str:
    """The first line, without its line break. Raises UnicodeDecodeError."""
    data = file.readline()
    if data.startswith(_UTF_16):
        # In UTF-16 a line break has two bytes, and readline has stopped after the first.
        data += file.read()
    return without_line_end(decode_text(data).partition("\n")[0])


def without_line_end(text: str) -> str:
    """The text without line breaks at its end, and without a BOM that was decoded to a character."""
    return text.removeprefix("\ufeff").rstrip("\r\n")
