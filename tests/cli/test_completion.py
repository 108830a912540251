"""A real bash completes the installed program with the script that `completion bash` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli.commands import COMMANDS, INNER_LINES
from tests.environment import ROOT
from tests.in_process import run
from tests.needed import require

BASH = shutil.which("bash") or ""
# What a tab does: bash splits the line, calls the function, and takes what is in COMPREPLY.
TAB = """
source script
words=($1)
COMP_WORDS=("${words[@]}")
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_watchword_completion watchword "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program, as the wheel installs it, and the script."""
    require({"bash": BASH})
    folder = tmp_path_factory.mktemp("installed")
    (folder / "watchword").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom server.cli import main\nmain()\n"
    )
    (folder / "watchword").chmod(0o755)
    (folder / "script").write_text(run(folder, "completion", "bash").stdout)
    return folder


def completed(folder: Path, line: str) -> list[str]:
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [BASH, "--norc", "-c", TAB, "tab", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("watchword ", list(COMMANDS)),
        ("watchword users ", list(INNER_LINES["users"])),
        ("watchword --config a.toml users re", ["rename", "reset-password"]),
        ("watchword audit list --si", ["--since"]),
        ("watchword audit list --event login_", ["login_succeeded", "login_failed"]),
        ("watchword users show --", ["--json", "--config", "--help"]),
        ("watchword completion ", ["bash", "zsh", "fish"]),
        # The shell completes names of files by itself.
        ("watchword store backup x", []),
        ("watchword nonsense x", []),
    ],
)
def test_bash_completes(installed: Path, line: str, found: list[str]) -> None:
    assert completed(installed, line) == found
    assert sorted(path.name for path in installed.iterdir()) == ["script", "watchword"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_for_the_installed_program_and_says_so(tmp_path: Path, shell: str) -> None:
    printed = run(tmp_path, "completion", shell)
    assert (printed.returncode, "_WATCHWORD_COMPLETE" in printed.stdout) == (0, True)
    assert printed.stderr == "this completes the installed program watchword, not python -m server\n"
    if shell == "bash" and BASH:
        subprocess.run([BASH, "-n"], input=printed.stdout, text=True, check=True)


@pytest.mark.parametrize("arguments", [(), ("tcsh",), ("bash", "zsh"), ("",)])
def test_another_shell_is_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = run(tmp_path, "completion", *arguments)
    assert (refused.returncode, refused.stdout, "Traceback" in refused.stderr) == (2, "", False)


def test_whatever_the_variable_holds_no_server_starts(tmp_path: Path) -> None:
    script = "import sys; sys.argv[0] = 'watchword'; from server.cli import main; main()"
    for value in ("nonsense", "complete_tcsh"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(ROOT), "_WATCHWORD_COMPLETE": value},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert list(tmp_path.iterdir()) == []
