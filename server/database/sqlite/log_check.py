"""Finds a log that is damaged in its middle: SQLite reads it up to there, and ignores the commits that follow.

A crash leaves only the end of a log incomplete, which was never acknowledged. What a failed commit has left there ends
with its own commit. So if several commits follow each other behind the place up to which SQLite reads, somebody or
something has changed the log, and what was acknowledged would be lost.

Formats: https://www.sqlite.org/fileformat2.html, section 4, and https://www.sqlite.org/walformat.html, section 2.1.
"""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from pathlib import Path

_HEADER = struct.Struct(">IIIIIIII")
_FRAME = struct.Struct(">IIIIII")
_MAGIC = 0x377F0682
_WORD = 0xFFFFFFFF
# The parts of a header that are summed.
_SUMMED_HEADER, _SUMMED_FRAME = 24, 8
# Of the -shm file, in the byte order of the machine: the first bytes are there twice, if nobody is just writing them.
_INDEX = struct.Struct("=IIIBBHI")
_INDEX_BYTES = 48
_INDEX_VERSION = 3007000

_Sums = tuple[int, int]


def commits_behind(log: Path, index: Path) -> int:
    """How many commits follow each other behind what SQLite reads. The caller has a connection that has read the log.

    `index` is the -shm file. Of a log that is whole, or only cut off, it is 0, or 1 after a failed commit.
    """
    with suppress(OSError):
        frames = _frames_read(index)
        if frames is not None:
            return _commits_behind(log, frames)
    return 0


def _frames_read(index: Path) -> int | None:
    with index.open("rb") as file:
        head = file.read(2 * _INDEX_BYTES)
    if len(head) < 2 * _INDEX_BYTES or head[:_INDEX_BYTES] != head[_INDEX_BYTES:]:
        return None
    version, _, _, is_there, _, _, frames = _INDEX.unpack(head[: _INDEX.size])
    return int(frames) if version == _INDEX_VERSION and is_there else None


def _commits_behind(log: Path, frames: int) -> int:
    with log.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return 0
        magic, _, page_size, _, *salts, first, second = _HEADER.unpack(header)
        big = bool(magic & 1) if magic & ~1 == _MAGIC else sys.byteorder == "big"
        pairs = struct.Struct(">II" if big else "<II")
        if _checksum(pairs, header[:_SUMMED_HEADER], (0, 0)) != (first, second):
            # Then SQLite reads nothing of the log. The frames say whether they belong together.
            page_size, salts = _looks_like(log)
        file.seek(_HEADER.size + max(0, frames - 1) * (_FRAME.size + page_size))
        before: _Sums | None = None
        if frames == 0:
            before = (first, second)
        run = longest = 0
        while len(frame := file.read(_FRAME.size)) == _FRAME.size and len(page := file.read(page_size)) == page_size:
            _, pages_after_commit, *frame_salts, first, second = _FRAME.unpack(frame)
            if frame_salts != salts:
                # From an earlier round, unless its header is damaged: then the rest of this round follows.
                before, run = None, 0
                continue
            if before is not None and _checksum(pairs, frame[:_SUMMED_FRAME] + page, before) == (first, second):
                run += pages_after_commit > 0
                longest = max(longest, run)
            else:
                run = 0
            before = (first, second)
        return longest


def _looks_like(log: Path) -> tuple[int, list[int]]:
    """The size of a page, and the salts of the first frame, of a log whose header is damaged."""
    size = 4096
    with log.open("rb") as file:
        file.seek(_HEADER.size)
        frame = file.read(_FRAME.size)
    return size, list(_FRAME.unpack(frame)[2:4]) if len(frame) == _FRAME.size else []


def _checksum(pairs: struct.Struct, data: bytes, before: _Sums) -> _Sums:
    first, second = before
    for one, another in pairs.iter_unpack(data):
        first = (first + one + second) & _WORD
        second = (second + another + first) & _WORD
    return first, second
