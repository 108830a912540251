"""The files of pages: styles, scripts, messages and the icon. All are read, and compressed, once at the start."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}
# `import { t } from "./messages.js";`, also over several lines, and `export … from`.
_IMPORT = re.compile(r'^(?:import|export)\b[^;"=]*"\./([\w.-]+\.js)";$', re.MULTILINE)
_VERSION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent. `imports` are the scripts that it loads, directly or through others."""

    body: bytes
    gzipped: bytes
    content_type: str
    etag: str
    imports: tuple[str, ...] = ()


class Assets:
    """All files by name. `version` changes when any of them does."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        digest = hashlib.sha256()
        for name, body in sorted(contents.items()):
            digest.update(b"%d %s %d " % (len(name), name.encode(), len(body)) + body)
        self.version = digest.hexdigest()[:_VERSION_LENGTH]
        self._assets = {name: _asset(name, contents) for name in contents}

    @classmethod
    @cache
    def load(cls) -> Self:
        """The files of this package. They are read once, so an upgrade takes a restart."""
        return cls(dict(_contents()))

    def get(self, name: str) -> Asset | None:
        """The file of that name."""
        return self._assets.get(name)

    def path(self, name: str) -> str:
        """Where browsers find it. Raises KeyError if there is no such file."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/assets/{self.version}/{name}"

    def names(self) -> list[str]:
        """The names of all files."""
        return sorted(self._assets)


def etag_of(body: bytes) -> str:
    """A tag that changes with the content, without quotes."""
    return hashlib.sha256(body).hexdigest()[:_VERSION_LENGTH]


def compressed(body: bytes) -> bytes:
    """The body in gzip, the same each time."""
    return gzip.compress(body, mtime=0)


def _contents() -> Iterator[tuple[str, bytes]]:
    for folder in ("files", "messages"):
        for file in files(__package__).joinpath(folder).iterdir():
            if file.name.rpartition(".")[2] in _TYPES:
                # `messages/en.json` is messages.en.json, and `messages/console.en.json` keeps its name.
                alone = folder == "messages" and file.name.count(".") == 1
                yield f"messages.{file.name}" if alone else file.name, file.read_bytes()


def _asset(name: str, contents: dict[str, bytes]) -> Asset:
    body = contents[name]
    content_type = _TYPES[name.rpartition(".")[2]]
    return Asset(body, compressed(body), content_type, etag_of(body), tuple(_imports(name, contents)))


def _imports(name: str, contents: dict[str, bytes]) -> list[str]:
    """All scripts that a script loads by imports of its own or of theirs. Raises KeyError if one does not exist."""
    if not name.endswith(".js"):
        return []
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        for other in _IMPORT.findall(contents[waiting.pop()].decode("utf-8")):
            if other not in found:
                found[other] = None
                waiting.append(other)
    return list(found)
