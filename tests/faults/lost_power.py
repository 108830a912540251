"""What a machine finds on its disk after its power has failed: of what was not synced all, some, or nothing.

The file operations of a process are played again (system_calls.py). POSIX promises of a file what was in it at its last
fsync, and of a name what was in its folder at the last fsync of that. Everything else is up to chance.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

from tests.faults.system_calls import Call

SECTOR = 512
# SQLite maps it into memory, so strace sees nothing of it. It has no meaning after a crash, whatever is in it.
_SHARED_MEMORY = "-shm"
# It is written over from its start. All other files that are written without an offset are written once.
_WRITTEN_OVER = ".write-lock"
_SYNCS = {"fsync", "fdatasync"}


class Left(Enum):
    """How much of what was not synced is on the disk."""

    NOTHING = "nothing"
    ALL = "all"
    # Each write and each name by chance, whatever came before or after it.
    SOME = "some"
    # The same, and of the last write only some sectors.
    TORN = "torn"
    # The files have their new lengths, and zeros where what was written is not there.
    ZEROS = "zeros"


@dataclass
class _Write:
    ended: int
    offset: int
    data: bytes
    # Not a write, but the new length.
    cut: bool = False

    def on(self, content: bytearray) -> None:
        end = self.offset + len(self.data)
        if self.cut:
            del content[self.offset :]
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : end] = self.data


@dataclass
class _Inode:
    is_folder: bool = False
    synced: bytearray = field(default_factory=bytearray)
    now: bytearray = field(default_factory=bytearray)
    writes: list[_Write] = field(default_factory=list)


@dataclass
class _Naming:
    """A change in a folder: one name that comes, one that goes, or both (rename) in one."""

    ended: int
    comes: tuple[str, _Inode] | None
    goes: str | None

    def on(self, names: dict[str, _Inode]) -> None:
        if self.goes is not None:
            names.pop(self.goes, None)
        if self.comes is not None:
            names[self.comes[0]] = self.comes[1]


class Disk:
    """What is below a folder, now and since the last syncs. The folder itself was there before, and empty."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._synced: dict[str, _Inode] = {}
        self._now: dict[str, _Inode] = {}
        self._namings: dict[str, list[_Naming]] = {}

    @classmethod
    def of(cls, root: Path) -> Self:
        """What is below `root` now is on the disk."""
        disk = cls(root)
        for path in root.rglob("*"):
            content = b"" if path.is_dir() else path.read_bytes()
            disk._synced[str(path)] = _Inode(path.is_dir(), bytearray(content), bytearray(content))
        disk._now = dict(disk._synced)
        return disk

    def concerns(self, call: Call) -> bool:
        paths = call.names if call.texts and call.name not in {"pwrite64", "write", "writev"} else (call.path,)
        return any(path.startswith(self._root + os.sep) or path == self._root for path in paths)

    def play(self, call: Call) -> None:
        """Do what this call has done."""
        match call.name:
            case "fsync" | "fdatasync":
                self._sync(call)
            case "openat":
                self._open(call)
            case "pwrite64":
                self._write(call, call.path, _Write(call.ended, call.numbers[0], call.texts[0][: call.result]))
            case "write":
                offset = 0 if call.path.endswith(_WRITTEN_OVER) else len(self._now[call.path].now)
                self._write(call, call.path, _Write(call.ended, offset, call.texts[0][: call.result]))
            case "ftruncate":
                self._write(call, call.path, _Write(call.ended, call.numbers[0], b"", cut=True))
            case _:
                self._play_names(call)

    def _open(self, call: Call) -> None:
        if "O_CREAT" in call.flags and call.names[0] not in self._now:
            self._name(call, comes=(call.names[0], _Inode()))
        elif "O_TRUNC" in call.flags:
            self._write(call, call.names[0], _Write(call.ended, 0, b"", cut=True))

    def _play_names(self, call: Call) -> None:
        match call.name:
            case "mkdir":
                self._name(call, comes=(call.names[0], _Inode(is_folder=True)))
            case "rename" | "renameat2":
                old, new = call.names
                assert Path(old).parent == Path(new).parent, "only within a folder"
                self._name(call, comes=(new, self._now[old]), goes=old)
            case "link" | "linkat":
                self._name(call, comes=(call.names[-1], self._now[call.names[0]]))
            case "unlink" | "unlinkat" | "rmdir":
                self._name(call, goes=call.names[0])

    def _name(self, call: Call, comes: tuple[str, _Inode] | None = None, goes: str | None = None) -> None:
        naming = _Naming(call.ended, comes, goes)
        naming.on(self._now)
        self._namings.setdefault(str(Path(comes[0] if comes else str(goes)).parent), []).append(naming)

    def _write(self, call: Call, path: str, write: _Write) -> None:
        inode = self._now[path]
        write.on(inode.now)
        inode.writes.append(write)

    def _sync(self, call: Call) -> None:
        """What had ended before the call began is on the disk now."""
        namings = self._namings.get(call.path, [])
        for naming in [one for one in namings if one.ended < call.began]:
            naming.on(self._synced)
            namings.remove(naming)
        inode = self._now.get(call.path)
        if inode is not None and not inode.is_folder:
            for write in [one for one in inode.writes if one.ended < call.began]:
                write.on(inode.synced)
                inode.writes.remove(write)

    def unsynced(self) -> int:
        """How many operations may be lost."""
        writes = sum(len(inode.writes) for inode in {id(inode): inode for inode in self._now.values()}.values())
        return writes + sum(map(len, self._namings.values()))

    def leave(self, left: Left, chance: random.Random, folder: Path) -> None:
        """Make what is found below `folder`, which is empty."""
        names = dict(self._now if left is Left.ALL else self._synced)
        if left not in {Left.ALL, Left.NOTHING}:
            for naming in (one for namings in self._namings.values() for one in namings):
                if chance.random() < 0.5:
                    naming.on(names)
        contents: dict[int, bytes] = {}
        for path in sorted(names):
            inode, target = names[path], folder / os.path.relpath(path, self._root)
            if not target.parent.is_dir():
                # Its folder is not there, so neither is it.
                continue
            if inode.is_folder:
                target.mkdir(mode=0o700)
                continue
            content = contents.setdefault(id(inode), bytes(_content(inode, left, chance)))
            if path.endswith(_SHARED_MEMORY):
                content = chance.randbytes(len(content))
            with os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)


def _content(inode: _Inode, left: Left, chance: random.Random) -> bytearray:
    if left is Left.ALL:
        return inode.now
    content = bytearray(inode.synced)
    if left is Left.NOTHING:
        return content
    kept = [write for write in inode.writes if chance.random() < 0.5]
    for write in kept[:-1]:
        write.on(content)
    if kept:
        last = kept[-1]
        for piece in _torn(last, chance) if left is Left.TORN else [last]:
            piece.on(content)
    if left is Left.ZEROS and len(content) < len(inode.now):
        content.extend(bytes(len(inode.now) - len(content)))
    return content


def _torn(write: _Write, chance: random.Random) -> Iterable[_Write]:
    """Some of the sectors of a write."""
    if write.cut:
        return [write]
    begin, end = write.offset, write.offset + len(write.data)
    bounds = [begin, *range((begin // SECTOR + 1) * SECTOR, end, SECTOR), end]
    pieces = [
        _Write(write.ended, start, write.data[start - begin : stop - begin])
        for start, stop in itertools.pairwise(bounds)
    ]
    return [piece for piece in pieces if chance.random() < 0.5]
