"""Disks of their own for a test: small ones that can be filled, and ones whose system calls fail; and spoilt files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.needed import require

_SOURCE = Path(__file__).with_name("failing_disk.c")


class Disk:
    """A small file system in `folder`, with a store on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @property
    def store(self) -> Path:
        return self.folder / "watchword.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.store}"

    def beside(self, ending: str) -> Path:
        return self.store.with_name(self.store.name + ending)

    def resize(self, kilobytes: int) -> None:
        """Only of a disk in memory."""
        _mount("-o", f"remount,size={kilobytes}k", str(self.folder))

    def fill(self, kept_bytes: int = 0) -> None:
        """Leave no more room than this."""
        self.free()
        room = os.statvfs(self.folder)
        with self._filler.open("wb") as file:
            file.write(bytes(max(0, room.f_bavail * room.f_frsize - kept_bytes - room.f_frsize)))
            file.flush()
            if not kept_bytes:
                _write_all(file.fileno())
            os.fsync(file.fileno())

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)
        os.sync()

    @contextmanager
    def filled(self, kept_bytes: int = 0) -> Iterator[None]:
        self.fill(kept_bytes)
        try:
            yield
        finally:
            self.free()


def _write_all(descriptor: int) -> None:
    """Write until nothing fits any more."""
    try:
        while True:
            os.write(descriptor, bytes(1024))
    except OSError:
        return


def _mount(*arguments: str) -> None:
    # Its own path, since a folder of a test may be first in PATH.
    subprocess.run(["/bin/mount", *arguments], check=True, capture_output=True)


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[Disk]:
    """Gone at the end, also if something has files open there."""
    folder.mkdir()
    try:
        _mount(*arguments, str(folder))
        done = True
    except (OSError, subprocess.CalledProcessError):
        done = False
    require({"the right to mount a small file system": done})
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["/bin/umount", "--lazy", str(folder)], check=True)
        yield Disk(folder)


@contextmanager
def disk_in_memory(folder: Path, kilobytes: int) -> Iterator[Disk]:
    """It can be resized."""
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "tmpfs") as disk:
        yield disk


@contextmanager
def disk_in_a_file(folder: Path, megabytes: int) -> Iterator[Disk]:
    """As on a real disk, immutable files take no writes, also from those who have them open."""
    image = folder.with_name(f"{folder.name}.image")
    maker = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    require({"mkfs.ext4": maker, "chattr": shutil.which("chattr")})
    image.touch()
    os.truncate(image, megabytes << 20)
    subprocess.run([str(maker), "-q", "-m", "0", str(image)], check=True)
    with _mounted(folder, "-o", "loop", str(image)) as disk:
        yield disk
    image.unlink()


@contextmanager
def immutable(*files: Path) -> Iterator[None]:
    """Not even root can change these files meanwhile."""
    chattr = str(shutil.which("chattr"))
    subprocess.run([chattr, "+i", *map(str, files)], check=True)
    try:
        yield
    finally:
        subprocess.run([chattr, "-i", *map(str, files)], check=True)


@contextmanager
def covered(folder: Path) -> Iterator[None]:
    """Another disk, which is empty, is mounted over the folder: as when its own one is not mounted any more."""
    _mount("-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", str(folder)], check=True)


def flip(file: Path, at: int) -> None:
    """Change one bit of that byte."""
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))


class FailingCalls:
    """Lets system calls of programs fail that are started with `environment`, on files whose path has `part`."""

    def __init__(self, folder: Path, part: str) -> None:
        self._control = folder / "failing"
        self._part = part
        self._say("")
        library = folder / "failing.so"
        compiler = shutil.which("gcc")
        require({"gcc": compiler})
        subprocess.run(
            [str(compiler), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(_SOURCE)], check=True
        )
        self.environment = {"LD_PRELOAD": str(library), "FAILING_DISK": str(self._control)}

    def _say(self, what: str) -> None:
        draft = self._control.with_suffix(".new")
        draft.write_text(f"{what}\n{self._part}\n", "utf-8")
        draft.replace(self._control)

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        """`what` is one of the words that failing_disk.c explains."""
        self._say(what)
        try:
            yield
        finally:
            self._say("")
