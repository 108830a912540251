"""Checks whether a database file has all of its pages.

SQLite itself does not notice if a part of the last page is missing, or if pages are missing while there is a log: it
reads missing bytes as zeros.

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
    """How many pages are neither in the file nor in its log, if their headers say how many there should be."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100:
        # Even the header is not complete: SQLite would use the file as a new database.
        return 1
    page_size = _page_size(header)
    in_file = path.stat().st_size // page_size
    expected, in_log = _in_log(log, page_size) if log.exists() else (0, set())
    if expected == 0:
        if header[24:28] != header[92:96]:
            # The last writer was a program that does not update the number of pages.
            return 0
        (expected,) = struct.unpack(">I", header[28:32])
    behind_file = sum(1 for page in in_log if in_file < page <= expected)
    return max(expected - in_file, 0) - behind_file


def log_has_hole(log: Path) -> bool:
    """Whether the log was truncated while it was open and has grown again: SQLite goes on writing at the old end.

    The hole between is zeros. A checkpoint would write them over pages of the database.
    """
    with suppress(OSError, struct.error), log.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE) if size else 0
        if hole < size:
            magic, _, page_size = _WAL_BEGIN.unpack(os.pread(descriptor, _WAL_BEGIN.size, 0))
            if magic not in _WAL_MAGIC:
                return True
            # Some file systems also report a page of zeros as a hole. In a real hole the frame has page number 0.
            length = _WAL_FRAME.size + page_size
            next_frame = _WAL_HEADER.size - (_WAL_HEADER.size - hole) // length * length
            return next_frame < size and os.pread(descriptor, 4, next_frame) == bytes(4)
    return False


def log_bytes(frames: int, page_size: int) -> int:
    """The length of a log with so many frames."""
    return _WAL_HEADER.size + frames * (_WAL_FRAME.size + page_size) if frames else 0


def _page_size(header: bytes) -> int:
    (size,) = struct.unpack(">H", header[16:18])
    return 65536 if size == 1 else max(size, 512)


def _in_log(log: Path, page_size: int) -> tuple[int, set[int]]:
    """The size of the database in pages after the last commit in the log (0: no commit), and the pages in the log."""
    committed, expected, since_commit = set[int](), 0, set[int]()
    with log.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(_WAL_HEADER.size)
        if len(header) < _WAL_HEADER.size:
            return 0, committed
        magic, _, log_page_size, _, *salts = _WAL_HEADER.unpack(header)[:6]
        if magic not in _WAL_MAGIC or log_page_size != page_size:
            return 0, committed
        # After the last frame there may be older frames, which have other salts. SQLite checks the checksums itself.
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
