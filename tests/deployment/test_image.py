"""The Dockerfile. No image is built here: its steps are done, and its command is run, on a copy of the machine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.settings import load_settings
from tests.deployment.dockerfile import Instruction, instructions, stages, variables
from tests.deployment.machine import CHECKOUT, Machine, machine
from tests.environment import ROOT

IMAGE = stages()[-1]
# A container that may write to /data and /tmp alone, has no rights of root, and gets none.
CONTAINED = (
    "--property=ReadOnlyPaths=/ --property=ReadWritePaths=/data --property=PrivateTmp=yes "
    "--property=NoNewPrivileges=yes --property=CapabilityBoundingSet="
)


def the(name: str) -> Instruction:
    (found,) = [instruction for instruction in IMAGE if instruction.name == name]
    return found


def test_the_dockerfile_has_nothing_that_a_linter_knows_better() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        source
        for instruction in instructions()
        if instruction.name == "COPY" and "--from=" not in instruction.text
        for source in instruction.text.split()[:-1]
    }
    assert copied == sent
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_the_image_runs_as_a_user_with_a_number_and_says_what_it_needs() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", the("USER").text)
    assert (the("STOPSIGNAL").text, the("VOLUME").text) == ("SIGTERM", "/data")
    assert the("EXPOSE").text == str(load_settings(Path("/dev/null"), {}).settings.server.port)
    # Both stages have the same Python, whose environment is copied.
    assert len({stage[0].text.split()[0] for stage in stages()}) == 1


def test_the_variables_of_the_image_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(the("WORKDIR").text)
    settings = load_settings(environment=variables(IMAGE)).settings
    assert settings.server.host == "0.0.0.0"  # noqa: S104 - the container's own network
    # Relative to the working directory: a variable would stand in the way of WATCHWORD__STORE__URL_FILE.
    assert Path(settings.store.url.removeprefix("sqlite:///")).absolute() == Path("/data/watchword.db")


@pytest.fixture(scope="module")
def built() -> Iterator[Machine]:
    """Where the steps of the Dockerfile were done."""
    with machine() as running:
        for stage in stages():
            folder = "/"
            for instruction in stage:
                if instruction.name == "WORKDIR":
                    folder = instruction.text
                    running.run(f"mkdir -p {folder}")
                elif instruction.name == "COPY" and "--from=" not in instruction.text:
                    running.run(f"cd {CHECKOUT} && cp -rt {folder} {' '.join(instruction.text.split()[:-1])}")
                elif instruction.name == "RUN":
                    _run(running, folder, instruction.text)
        yield running


def _run(running: Machine, folder: str, text: str) -> None:
    """Do a step. The packages are those of the tests and come from no registry, so pip finds them installed."""
    for command in text.split("&&"):
        if requirements := re.search(r"--python (\S+)/bin/python install .* -r (\S+)", command):
            running.give_packages(str(Path(folder) / requirements[1]), ROOT / requirements[2])
        running.run(f"cd {folder} && {command}")


def _as_in_the_image(running: Machine, words: list[str], options: str) -> subprocess.CompletedProcess[str]:
    given = " ".join(f"--setenv={name}={value}" for name, value in variables(IMAGE).items())
    user, group = the("USER").text.split(":")
    as_user = f"--uid={user} --gid={group} --working-directory={the('WORKDIR').text}"
    program = shlex.join([f"/opt/watchword/bin/{words[0]}", *words[1:]])
    return running.run(f"systemd-run --quiet {options} {as_user} {given} {CONTAINED} {program}", check=False)


def test_the_image_serves_with_a_root_that_it_can_not_write_and_says_whether_it_is_well(built: Machine) -> None:
    serve = [*the("ENTRYPOINT").command, *the("CMD").command]
    health = the("HEALTHCHECK").command

    def asked() -> subprocess.CompletedProcess[str]:
        return _as_in_the_image(built, health, "--pipe --wait")

    assert asked().returncode == 1
    started = _as_in_the_image(built, serve, "--unit=container --remain-after-exit")
    assert started.returncode == 0, started.stderr
    built.run("until /opt/watchword/bin/watchword health; do systemctl is-active --quiet container; sleep 0.05; done")
    assert (asked().returncode, asked().stdout) == (0, "ready\n")
    built.run("kill -TERM $(systemctl show --property=MainPID --value container)")
    built.run("until [ $(systemctl show --property=SubState --value container) = exited ]; do sleep 0.05; done")
    assert built.run("systemctl show --property=ExecMainStatus --value container").stdout == "0\n"
    assert built.run("stat --format='%u %a' /data /data/watchword.db").stdout == "10001 700\n10001 600\n"
    assert asked().returncode == 1
