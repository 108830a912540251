"""What a process asks of the kernel, by strace: which bytes it writes where, and what it waits for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.calling import wait_until
from tests.needed import require

_FILES = (
    "openat,mkdir,pwrite64,write,writev,ftruncate,fsync,fdatasync,rename,renameat2,unlink,unlinkat,link,linkat,rmdir"
)
_ANSWERS = "sendto,sendmsg"
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$")
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(r"\)\s+= (-?\d+)(?:<([^>]*)>)?[^=]*$")
_FILE = re.compile(r"^(?:AT_FDCWD|\d+)<([^>]*)>(?:\([^)]*\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OFFSET = re.compile(r", (\d+)\)?$")


@dataclass(frozen=True)
class Call:
    """A call that has succeeded. `began` and `ended` are lines of the trace: calls of several threads overlap.

    `path` is the file of the first descriptor, and of a call that takes names, the folder which they are relative to.
    """

    name: str
    path: str
    texts: tuple[bytes, ...]
    numbers: tuple[int, ...]
    result: int
    opened: str
    began: int
    ended: int
    flags: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The paths that are given by name."""
        return tuple(str(Path(self.path) / os.fsdecode(text)) for text in self.texts)


@cache
def _traces() -> bool:
    """Whether this process may trace others, which containers can forbid."""
    strace = shutil.which("strace")
    probe = [str(strace), "-o", os.devnull, "true"]
    return strace is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0


def require_strace() -> None:
    require({"strace": _traces()})


def tracer(output: Path) -> Sequence[str]:
    """What starts a program under a tracer that is a process beside it, so the program has the process's id."""
    return ("strace", *_options(output), "-D")


def _options(output: Path) -> Sequence[str]:
    calls = f"trace={_FILES},{_ANSWERS}"
    # Names of files are in hexadecimal too, and descriptors are shown with them.
    return ("-f", "-q", "-y", "-xx", "-s", "1000000", "--seccomp-bpf", "-e", calls, "-o", str(output))


def calls_of(output: Path, pid: int, folder: Path) -> list[Call]:
    """The calls of a process in this folder that has ended, in the order in which they have returned."""
    ends = re.compile(rf"^{pid} +\+\+\+ ", re.MULTILINE)
    wait_until(lambda: ends.search(_tail(output)) is not None)
    return list(_read(output.read_text("ascii").splitlines(), str(folder)))


def _tail(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 10_000))
        return file.read().decode("ascii")


def _read(lines: Sequence[str], folder: str) -> Iterator[Call]:
    unfinished: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        thread, resumed, name, rest = found.groups()
        began = number
        if resumed:
            # The thread may have been stopped when the trace began.
            if thread not in unfinished:
                continue
            began, before = unfinished.pop(thread)
            name, rest = resumed, before + rest
        elif rest.endswith(_UNFINISHED):
            unfinished[thread] = (number, rest.removesuffix(_UNFINISHED))
            continue
        result = _RESULT.search(rest)
        if result is not None and int(result[1]) >= 0:
            yield _call(str(name), rest[: result.start() + 1], result, (began, number), folder)


def _call(name: str, arguments: str, result: re.Match[str], lines: tuple[int, int], folder: str) -> Call:
    file = _FILE.match(arguments)
    offset = _OFFSET.search(arguments)
    rest = arguments[file.end() :] if file else arguments
    return Call(
        name,
        _decoded(file[1]) if file else folder,
        tuple(bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(arguments)),
        (int(offset[1]),) if offset else (),
        int(result[1]),
        _decoded(result[2]) if result[2] else "",
        *lines,
        rest if name == "openat" else "",
    )


def _decoded(text: str) -> str:
    if "\\x" not in text:
        return text
    return os.fsdecode(re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode()))
