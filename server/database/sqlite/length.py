"""Whether a database file has all of its pages.

SQLite itself does not see it when part of the last one is missing, or when there is a log beside it: what it can't read
is blank to it.

Formats: https://www.sqlite.org/fileformat2.html, sections 1.3 and 4.1.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

_WAL_HEADER = struct.Struct(">IIIIIIII")
_WAL_BEGIN = struct.Struct(">III")
_WAL_FRAME = struct.Struct(">IIIIII")
_WAL_MAGIC = (0x377F0682, 0x377F0683)


def missing_pages(path: Path, log: Path) -> int:
    """How many pages are neither in the file nor in its log, as far as both say how many there are."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        # Not even all of its header: SQLite would take what is there for a new database.
        return 1
    page_size = _page_size(header)
    in_file = path.stat().st_size // page_size
    expected, in_log = _in_log(log, page_size) if log.exists() else (0, set())
    if expected == 0:
        if header[24:28] != header[92:96]:
            # Written last by a program that does not keep the number of pages.
            return 0
        (expected,) = struct.unpack(">I", header[28:32])
    behind_file = sum(1 for page in in_log if in_file < page <= expected)
    return max(expected - in_file, 0) - behind_file


def log_has_hole(log: Path) -> bool:
    """Whether the log was cut off while it was open, and has grown again: SQLite writes on where its end was before.

    What it would write back is zeros, over pages of the database.
    """
    with suppress(OSError, struct.error), log.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE) if size else 0
        if hole < size:
            magic, _, page_size = _WAL_BEGIN.unpack(os.pread(descriptor, _WAL_BEGIN.size, 0))
            if magic not in _WAL_MAGIC:
                return True
            # A page of zeros is a hole too in some file systems, but there is no page 0.
            length = _WAL_FRAME.size + page_size
            next_frame = _WAL_HEADER.size - (_WAL_HEADER.size - hole) // length * length
            return next_frame < size and os.pread(descriptor, 4, next_frame) == bytes(4)
    return False


def _page_size(header: bytes) -> int:
    (size,) = struct.unpack(">H", header[16:18])
    return 65536 if size == 1 else max(size, 512)


def _in_log(log: Path, page_size: int) -> tuple[int, set[int]]:
    """The number of pages after the last commit in the log, 0 if there is none; and which pages it has."""
    committed, expected, since_commit = set[int](), 0, set[int]()
    with log.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(_WAL_HEADER.size)
        if len(header) < _WAL_HEADER.size:
            return 0, committed
        magic, _, log_page_size, _, *salts = _WAL_HEADER.unpack(header)[:6]
        if magic not in _WAL_MAGIC or log_page_size != page_size:
            return 0, committed
        # Frames of an earlier round, behind the last one, have other salts. The checksums are SQLite's matter.
        while len(frame := file.read(_WAL_FRAME.size)) == _WAL_FRAME.size:
            page, pages_after_commit, *frame_salts = _WAL_FRAME.unpack(frame)[:4]
            if frame_salts != salts:
                break
            if file.seek(page_size, os.SEEK_CUR) > size:
                break
            since_commit.add(page)
            if pages_after_commit:
                expected = pages_after_commit
                committed |= since_commit
                since_commit.clear()
    return expected, committed
