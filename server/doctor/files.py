"""Who may read and write the files: of the store, of the settings, and of secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from shlex import quote

from server.database.sqlite import condition
from server.database.sqlite.contents import LOCKS
from server.doctor.model import Case, Finding, note, ok, warning, wrong
from server.files.ownership import user_name, why_denied
from server.settings.load import LoadedSettings
from server.settings.masking import masked_url

TOPIC = "files"
# The key is judged where it is read, and locks hold no secret.
_NO_DATA = (".key", ".key.lock", *LOCKS)
_SECRETS = ("keys.master_key", "tokens.secret")
# They may hold a password.
_URLS = ("store.url", "store.listen_url", "mail.url")


def of_store(path: Path) -> list[Finding]:
    """The folder and the files of an SQLite store: their owner can use them all, and others can't read them."""
    # Unlike methods of Path, these do not fail in a folder that this user can't enter.
    if os.path.exists(path.parent) and not os.path.isdir(path.parent):  # noqa: PTH110, PTH112
        return [wrong(TOPIC, f"{path.parent} is no folder", "move it away, or choose another store.url")]
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        # It is no store, which is said where that is read. Advice about the rights of a device would do harm.
        return []
    present = [file for file in (path.parent, *condition.files(path)) if os.path.lexists(file)]
    denied = why_denied(present[1:] or [path])
    if denied is not None:
        text, _, remedy = denied.partition("; ")
        return [wrong(TOPIC, text, remedy)]
    present = [file for file in present if os.path.exists(file)]  # noqa: PTH110
    findings = [*_strangers(present), *_open_to_all(present)]
    if present[1:] and not findings:
        owner = user_name(present[1].stat().st_uid)
        findings.append(ok(TOPIC, f"the store belongs to {owner}, who can use all of its files, and nobody else can"))
    if present[1:] and os.geteuid() == 0 and present[1].stat().st_uid == 0:
        findings.append(note(TOPIC, "the store belongs to root", "run the server as a user of its own, who owns it"))
    return findings


def _strangers(present: Sequence[Path]) -> list[Finding]:
    """Files that the owner of the store can't use."""
    if len(present) < 2:
        return []
    owner = present[1].stat()
    findings = []
    for file in present:
        found = file.stat()
        needed = 0o7 if stat.S_ISDIR(found.st_mode) else 0o6
        by_group = found.st_gid == owner.st_gid and (found.st_mode >> 3) & needed == needed
        by_all = found.st_mode & needed == needed
        if owner.st_uid not in {found.st_uid, 0} and not by_group and not by_all:
            name = user_name(owner.st_uid)
            text = f"{file} belongs to {user_name(found.st_uid)}, so {name}, who owns the store, can't use it"
            findings.append(wrong(TOPIC, text, f"run as root: chown {name.removeprefix('user ')} {quote(str(file))}"))
    return findings


def _open_to_all(present: Sequence[Path]) -> list[Finding]:
    findings = []
    for file in present:
        mode = stat.S_IMODE(file.stat().st_mode)
        is_folder = file.is_dir()
        if not is_folder and mode & 0o004 and not file.name.endswith(_NO_DATA):
            text = f"{file} can be read by everybody on this machine, with names and password hashes"
            findings.append(warning(TOPIC, text, f"chmod 600 {quote(str(file))}"))
        elif is_folder and mode & 0o002 and not mode & stat.S_ISVTX:
            text = f"everybody on this machine can replace what is in {file}"
            findings.append(wrong(TOPIC, text, f"chmod 700 {quote(str(file))}"))
    return findings


def of_settings(case: Case, environment: Mapping[str, str]) -> list[Finding]:
    """The settings file and the files of secrets: nobody else changes the one or reads the others."""
    findings = []
    file = case.loaded.file
    if file is not None and file.stat().st_mode & 0o002:
        text = f"everybody on this machine can change {file}"
        findings.append(wrong(TOPIC, text, f"chmod o-w {quote(str(file))}"))
    for name, path in _files_with_secrets(case.loaded, environment):
        if path.exists() and path.stat().st_mode & 0o004:
            text = f"{path} holds {name}, and everybody on this machine can read it"
            remedy = f"chmod o-r {quote(str(path))}, and let the server's user read it"
            findings.append(warning(TOPIC, text, remedy))
    return findings


def _files_with_secrets(loaded: LoadedSettings, environment: Mapping[str, str]) -> list[tuple[str, Path]]:
    """The files that hold a secret, with the name of the setting. An empty one, as in the shipped file, is none."""
    found = []
    values = {name: attrgetter(name)(loaded.settings) for name in (*_SECRETS, *_URLS)}
    secrets = [name for name in _SECRETS if values[name]]
    for name in (*secrets, *(name for name in _URLS if masked_url(values[name]) != values[name])):
        origin = loaded.origins.get(name, "")
        if origin == str(loaded.file):
            found.append((name, Path(origin)))
        elif origin.lower().endswith("_file"):
            found.append((name, Path(environment.get(origin, "").rstrip("\r\n"))))
    return found
