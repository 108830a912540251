"""A copy of this machine that can be used up: its own systemd as process 1, and its own network.

Its files are an overlay in memory over the files of this machine, so what is changed there is gone at the end.
`python3` is the Python that runs the tests, at another place, since it may lie where other users can't read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

import pytest
from packaging.requirements import Requirement

from tests.calling import DEADLINE_SECONDS
from tests.environment import ROOT
from tests.needed import require
from tests.processes import children_of

_PYTHON, _PACKAGES = "/usr/local/python3", "/usr/local/packages"
# This checkout may be below /tmp or /run, which systemd mounts anew there.
CHECKOUT = "/usr/local/checkout"
PATH = f"{_PYTHON}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Where systemd keeps its groups of processes: both kinds, or one.
_GROUPS = [Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]
_START = """
for group in $OWN_GROUPS; do
    echo $$ >"$group/cgroup.procs"
done
mount -t tmpfs -o mode=0755 tmpfs "$0"
mkdir "$0/changed" "$0/work" "$0/root"
mount -t overlay -o "lowerdir=/,upperdir=$0/changed,workdir=$0/work" overlay "$0/root"
rm -rf "$0/root/opt/watchword" "$0/root/etc/watchword" "$0/root/var/lib/watchword"
exec systemd-nspawn --quiet --register=no --keep-unit --directory="$0/root" --link-journal=no --private-network \\
    --console=pipe "$@"
"""


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is not installed (Debian package: util-linux)"
    return found


def require_machine() -> None:
    """Skip, or with CI=true fail, where such a copy can't be had."""
    require(
        {
            "root, to start a copy of this machine": os.geteuid() == 0,
            "systemd-nspawn (Debian package: systemd-container)": shutil.which("systemd-nspawn", path=PATH),
            "systemd (Debian package: systemd-sysv)": Path("/sbin/init").exists(),
        }
    )


class Machine:
    """A running copy. Commands there are root's."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(
        self, script: str, *, stdin: str = "", environment: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run lines of bash in the folder /root, up to the first that fails. With `check` none may fail."""
        variables = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"} | dict(environment or {})
        done = subprocess.run(
            [_program("nsenter"), f"--target={self._leader}", "--all", "bash", "-ec", f"cd /root\n{script}"],
            env=variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            journal = self.run("journalctl --no-pager --lines=20 --output=cat", check=False).stdout
            raise AssertionError(f"{script}\n{done.stdout}{done.stderr}\nthe journal:\n{journal}")
        return done

    def give_packages(self, environment: str, list_of: Path) -> None:
        """Put the packages of a pinned list into a virtual environment there, so that pip finds them installed."""
        names = [name for requirement in _pinned(list_of) for name in _names_in_site_packages(requirement)]
        links = " ".join(f"{_PACKAGES}/{name}" for name in names)
        self.run(f"ln -sf {links} {environment}/lib/python3.*/site-packages/")

    def make_environment(self, environment: str) -> None:
        """A virtual environment, whose pip is the one of the tests: to unpack its own takes seconds."""
        self.run(
            f"test -d {environment} && exit\n"
            f"python3 -m venv --without-pip {environment}\n"
            f"ln -s {_PACKAGES}/pip {_PACKAGES}/pip-*.dist-info {environment}/lib/python3.*/site-packages/\n"
            f'printf "#!/bin/sh\\nexec {environment}/bin/python -m pip \\"\\$@\\"\\n" >{environment}/bin/pip\n'
            f"chmod 755 {environment}/bin/pip"
        )

    def stand_in(self, program: str, script: str) -> None:
        """Put a shell script in the place of a program."""
        self.run(
            f"cat >/usr/local/sbin/{program} && chmod 755 /usr/local/sbin/{program}", stdin=f"#!/bin/sh\n{script}\n"
        )


def _pinned(list_of: Path) -> Iterator[Requirement]:
    for line in list_of.read_text("utf-8").splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.removesuffix("\\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement


def _names_in_site_packages(requirement: Requirement) -> set[str]:
    try:
        files = distribution(requirement.name).files or ()
    except PackageNotFoundError:
        raise AssertionError(f"{requirement} is not installed; run make setup") from None
    return {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}


@contextlib.contextmanager
def _started(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Systemd-nspawn on a copy of the files, and what it says."""
    name = f"watchword-{secrets.token_hex(4)}"
    with (
        tempfile.TemporaryDirectory(prefix=name) as folder,
        tempfile.TemporaryFile() as said,
        _groups(name) as groups,
    ):
        # Its standard input is a pipe: systemd gives what it finds there to other users, and /dev/null is everybody's.
        command = [_program("unshare"), "--mount", "--propagation=private", "sh", "-ec", _START, folder]
        process = subprocess.Popen(
            [*command, f"--machine={name}", *options],
            env=os.environ | {"OWN_GROUPS": " ".join(map(str, groups))},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        )
        try:
            yield process, said
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE_SECONDS)


@functools.cache
def _refused() -> str | None:
    """What keeps a copy from starting here, as in a container without privileges. No package could change that."""
    try:
        with _started("true") as (process, said):
            code = process.wait(DEADLINE_SECONDS)
            said.seek(0)
            return None if code == 0 else said.read().decode(errors="replace").strip().replace("\n", "; ")
    except OSError as error:
        return str(error)


@contextlib.contextmanager
def machine(*options: str) -> Iterator[Machine]:
    """A running copy; `options` are those of systemd-nspawn."""
    require_machine()
    if reason := _refused():
        pytest.skip(f"a copy of this machine is not permitted here: {reason}")
    bound = [f"--bind-ro={sysconfig.get_path('purelib')}:{_PACKAGES}", f"--bind-ro={ROOT}:{CHECKOUT}"]
    bound += [] if sys.base_prefix in {"/usr", "/usr/local"} else [f"--bind-ro={sys.base_prefix}:{_PYTHON}"]
    with _started(*bound, *options, "--boot", "systemd.unit=basic.target") as (process, said):
        try:
            running = Machine(_leader_of(process))
            running.run("until systemctl is-active --quiet basic.target; do sleep 0.05; done")
            # Its library is looked for where it was built, and there other users may not look.
            running.run(f"echo {_PYTHON}/lib >/etc/ld.so.conf.d/00-python3.conf && ldconfig")
            yield running
        except BaseException as error:
            said.seek(0)
            error.add_note(said.read().decode(errors="replace")[-2000:])
            raise


@contextlib.contextmanager
def _groups(name: str) -> Iterator[list[Path]]:
    """Groups of processes of its own. Otherwise two copies would have the same, and take them away from each other."""
    groups = [tree / name for tree in _GROUPS if (tree / "cgroup.procs").exists()]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            for empty in sorted([group, *group.rglob("*/")], reverse=True):
                with contextlib.suppress(OSError):
                    empty.rmdir()


def _leader_of(process: subprocess.Popen[bytes]) -> int:
    """The number of its process 1, once it answers."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for child in children_of(process.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text("ascii").strip() == "systemd":
                    return child
        time.sleep(0.02)
    raise AssertionError("the copy of this machine did not start")
