"""The files of the templates: those that are shipped, and those of a folder that replace them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from server.core.errors import ConfigurationError
from server.core.text import escaped
from server.files.text_file import decode_text
from server.mail.model import MailKind

LANGUAGES = ("en", "de")
LAYOUTS = ("layout.txt", "layout.html")
# Bytes. Mail programs cut off what is longer.
LARGEST = 100_000
# Of many problems the first few are enough to begin with.
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """`place` is what messages call it. It is not `shipped` if it is from the folder of `mail.templates`."""

    place: str
    text: str
    shipped: bool = False


def names() -> Mapping[str, str]:
    """The name of each file that there may be, with what it is."""
    mails = {f"{kind}.{language}.txt": "the words" for kind in MailKind for language in LANGUAGES}
    pages = {f"{kind}.{language}.html": "an HTML part of its own" for kind in MailKind for language in LANGUAGES}
    return mails | pages | dict.fromkeys(LAYOUTS, "what is around the words")


@cache
def shipped() -> Mapping[str, TemplateFile]:
    """The templates that are part of the program. All are read at once, and never again."""
    found = files("server.mail").joinpath("templates").iterdir()
    return {file.name: TemplateFile(file.name, file.read_text("utf-8"), shipped=True) for file in found}


def replacing(folder: str) -> Mapping[str, TemplateFile]:
    """The files in the folder of `mail.templates`, by name. Raises ConfigurationError with what is wrong with them.

    Names that begin with a dot are left out: editors leave such files, and where a volume of Kubernetes is mounted,
    `..data` is the folder that the other names lead to.
    """
    if not folder:
        return {}
    try:
        paths = sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigurationError([f"mail.templates: {_shown(folder)}: {_reason(error)}; name a folder"]) from None
    found, problems = {}, []
    for path in paths:
        try:
            found[path.name] = TemplateFile(_shown(path), _read(path))
        except ValueError as error:
            problems.append(f"mail.templates: {_shown(path)}: {error}")
    if problems:
        raise ConfigurationError(problems[:_SHOWN])
    return found


def _read(path: Path) -> str:
    """The text of a template. Raises ValueError, which says what to do."""
    if path.name not in names():
        near = get_close_matches(path.name, names(), n=1, cutoff=0.6)
        advice = f"did you mean {near[0]}?" if near else "docs/mail.md has the names; take other files away"
        raise ValueError(f"no template has this name; {advice}")
    try:
        # A pipe or a device may never end, and opening it may wait for ever.
        if path.stat() and not path.is_file():
            raise ValueError("is not a file; take it away")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{_reason(error)}; let the server read it, or take it away") from None
    if len(data) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes; mail programs cut off such mails, so make it smaller")
    try:
        return decode_text(data).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save it as UTF-8") from None


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link that leads back to itself"
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _shown(path: str | Path) -> str:
    return escaped(str(path))
