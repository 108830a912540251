"""The machine: versions, descriptors, memory, and how many logins it can hash."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import ssl
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from server import __version__
from server.doctor.model import Case, Finding, note, ok, size, warning
from server.http.runner import ENOUGH_DESCRIPTORS, KEPT_DESCRIPTORS
from server.passwords.hasher import Hasher
from server.settings.cores import usable_cores

TOPIC = "machine"
# A hash of this cost is measured, and the other costs follow: each step doubles the time.
_MEASURED_COST = 8
_SLOW_SECONDS = 1.0
_FEW_DESCRIPTORS = 1024
# Of one process, without what it remembers of tokens.
_PROCESS_BYTES = 120_000_000
_TOKEN_BYTES = 1500
_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def versions() -> list[Finding]:
    """What runs here."""
    libraries = f"SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}, aiohttp {version('aiohttp')}"
    return [ok("versions", f"Watchword {__version__}, Python {platform.python_version()}, {libraries}")]


def descriptors() -> list[Finding]:
    """How many connections are possible. The service manager may set other limits for the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_DESCRIPTORS)
    connections = max(0, most - KEPT_DESCRIPTORS)
    text = f"a process that is started from here may have {most} descriptors, so {connections} connections"
    if most < _FEW_DESCRIPTORS:
        return [warning(TOPIC, text, "raise the limit: ulimit -n, or LimitNOFILE= of systemd")]
    return [ok(TOPIC, text)]


def memory(case: Case) -> list[Finding]:
    """Whether the processes fit, with what they remember of tokens."""
    there = _memory()
    if there is None:
        return []
    settings = case.settings
    count = settings.server.worker_count
    needed = count * (_PROCESS_BYTES + settings.tokens.cache_size * _TOKEN_BYTES)
    text = (
        f"{count} {'process needs' if count == 1 else 'processes need'} up to {size(needed)} of {size(there)} of memory"
    )
    if needed > there:
        return [warning(TOPIC, text, "lower tokens.cache_size or server.workers")]
    return [ok(TOPIC, text)]


def _memory() -> int | None:
    """What this process may use: that of the machine, or the least limit of its container or unit (cgroups(7))."""
    found = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, StopIteration):
        own = next(line for line in _OWN_CGROUP.read_text().splitlines() if line.startswith("0::/"))
        path = _CGROUPS / own.removeprefix("0::/")
        for folder in (path, *path.parents):
            # The word "max" is no limit, and the root has no such file.
            with suppress(OSError, ValueError):
                found.append(int((folder / "memory.max").read_text()))
    return min(found, default=None)


def logins(case: Case) -> list[Finding]:
    """How long a hash takes, by one of a low cost, and how many logins a second that allows."""
    passwords = case.settings.passwords
    hasher = Hasher(_MEASURED_COST)
    # The first hash also loads and tests the library.
    hasher.hash("a password")
    started = time.thread_time()
    hasher.hash("a password")
    seconds = (time.thread_time() - started) * 2.0 ** (passwords.bcrypt_cost - _MEASURED_COST)
    cores = usable_cores()
    threads = passwords.hash_threads or cores
    text = (
        f"a login takes {seconds:.2f} s of one core at passwords.bcrypt_cost = {passwords.bcrypt_cost}: "
        f"{min(threads, cores) / seconds:.1f} logins a second on {min(threads, cores)} of {cores} cores"
    )
    findings = [warning(TOPIC, text, "lower passwords.bcrypt_cost")] if seconds > _SLOW_SECONDS else [ok(TOPIC, text)]
    if passwords.hash_threads > cores:
        findings.append(note(TOPIC, f"passwords.hash_threads = {passwords.hash_threads} is more than there are cores"))
    return findings
