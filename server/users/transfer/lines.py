"""Reads the lines of a file in constant memory, whatever the file has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from server.core.errors import FileRefused

LINE_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its line break. `problem` says why the text can't be read; `quotes` then counts its quotes."""

    number: int
    text: str
    problem: str | None = None
    quotes: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one account in a file, by column. `problem` says why they can't be read.

    `user` is the number of the account, from 1, in a format where several accounts may begin on one line.
    """

    line: int
    fields: dict[str, Any]
    problem: str | None = None
    user: int | None = None


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of a UTF-8 file that are not blank. Raises FileRefused for UTF-16."""
    number = 0
    while raw := file.readline(LINE_BYTES + 1):
        number += 1
        if number == 1:
            if raw.startswith(_OTHER_BOMS):
                raise FileRefused("the file is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(_BOM)
        if len(raw) > LINE_BYTES and not raw.endswith(b"\n"):
            quotes = raw.count(b'"')
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LINE_BYTES)
                quotes += raw.count(b'"')
            yield Line(number, "", "the line is longer than 1 MiB", quotes)
            continue
        raw = raw.rstrip(b"\r\n")
        if not raw.strip():
            continue
        try:
            yield Line(number, raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield Line(number, "", f"byte {error.start + 1} of the line is not UTF-8", raw.count(b'"'))
