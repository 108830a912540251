"""Each command as a process, and what only a process shows of commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import in_process
from tests.cli.names import command_names
from tests.process.server_process import DEADLINE_SECONDS, ROOT, environment, run, serving

COMMANDS: dict[str, tuple[tuple[str, ...], str, tuple[int, str]]] = {
    "health": ((), "", (2, "")),
    "migrate": ((), "", (0, "up to date")),
    "store backup": (("copy.db",), "", (0, "backed up")),
    "store move": (("--to", "sqlite:///elsewhere/watchword.db"), "", (0, "and compared both")),
    "store reopen": ((), "", (1, "")),
    "store restore": (("copy.db",), "", (1, "")),
    "doctor": ((), "", (0, "ok       store")),
    "config check": ((), "", (0, "fine")),
    "config reload": ((), "", (1, "")),
    "config show": ((), "", (0, "[server]")),
    "routes": ((), "", (0, "/users")),
    "explain": (("GET", "/users"), "", (0, "denied")),
    "openapi": ((), "", (0, "openapi")),
    "users create": (("--username", "john", "--role", "customer"), "", (0, "made john")),
    "users list": ((), "", (0, "lak")),
    "users show": (("lak",), "", (0, "customer")),
    "users set-email": (("lak", "lak@example.com"), "", (0, "lak@example.com")),
    "users rename": (("lak", "moore"), "", (0, "moore")),
    "users disable": (("lak",), "", (0, "lak")),
    "users enable": (("lak",), "", (0, "lak")),
    "users set-role": (("lak", "admin"), "", (0, "admin")),
    "users set-password": (("lak", "--password-stdin"), "brown otters juggle turnips", (0, "lak")),
    "users reset-password": (("lak",), "", (0, "reset token")),
    "users delete": (("lak", "--yes"), "", (0, "deleted")),
    "users invite": (("--email", "john@example.com"), "", (0, "/invitation#wwi_")),
    "users invitations": ((), "", (0, "made by")),
    "users uninvite": (("01990000-0000-7000-8000-000000000009",), "", (1, "")),
    "users import": (("-", "--format", "csv", "--role", "customer"), "username\njohn\n", (0, "imported 1")),
    "users export": ((), "", (0, "lak")),
    "keys list": ((), "", (0, "active")),
    "keys rotate": (("--now",), "", (0, "signs now")),
    "keys revoke": (("x",), "", (1, "")),
    "keys replace": (("--yes",), "", (0, "")),
    "keys rewrap": ((), "", (0, "master key")),
    "token inspect": (("x",), "", (0, "token_invalid")),
    "token verify": (("x",), "", (1, "token_invalid")),
    "completion": (("bash",), "", (0, "complete -o default")),
    "mail preview": (("test",), "", (0, "Test mail of Watchword")),
    "mail test": (("lak@example.com",), "", (1, "")),
    "mail list": ((), "", (0, "recipient")),
    "mail retry": (("--all",), "", (0, "0 mails are tried at once")),
    "audit list": ((), "", (0, "user_created")),
    "audit verify": ((), "", (0, "none altered")),
    "audit export": ((), "", (0, "user_created")),
}


@pytest.fixture(scope="module")
def used_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("used")
    with in_process.serving(folder):
        made = in_process.run(folder, "users", "create", "--username", "lak", "--role", "customer")
        assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize("name", command_names())
def test_each_command_runs_as_a_process(used_store: Path, tmp_path: Path, name: str) -> None:
    """In a process of its own it imports what it needs; the rest is tested with its feature."""
    shutil.copytree(used_store / "data", tmp_path / "data")
    if name == "serve":
        arguments = ("serve", "--host", "127.0.0.1", "--port", "0")
        with serving(tmp_path, *arguments, WATCHWORD__SERVER__HOST="not.this.one.example") as server:
            assert "given     server.host, server.port on the command line" in server.banner
            assert server.stop() == 0
        return
    values, stdin, (code, said) = COMMANDS[name]
    done = run(tmp_path, *name.split(), *values, stdin=stdin, WATCHWORD__REGISTRATION__MODE="invitation")
    assert (done.returncode, said in done.stdout) == (code, True), done
    assert bool(done.stderr) == (
        name
        in {
            "completion",
            "config reload",
            "health",
            "keys revoke",
            "mail test",
            "store reopen",
            "store restore",
            "users export",
            "users uninvite",
        }
    )


def test_a_store_without_an_admin_is_told(tmp_path: Path) -> None:
    in_process.run(tmp_path, "users", "create", "--username", "lak", "--role", "customer")
    with serving(tmp_path) as server:
        assert server.stop() == 0
        assert "nobody is an admin" in server.log()


def test_an_override_of_no_route_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", WATCHWORD__ACCESS='{"GET /nope": ["admin"]}')
    assert refused.returncode == 2
    assert 'access."GET /nope": there is no such route' in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "server", "openapi"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def run_into_a_full_disk(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        return subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            cwd=folder,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )


def test_output_that_can_not_be_written_is_one_line_and_a_failure(tmp_path: Path) -> None:
    done = run_into_a_full_disk(tmp_path, "routes")
    assert (done.returncode, done.stderr) == (1, "output: it can't be written (No space left on device)\n")


def test_ctrl_c_while_the_program_is_read_in_is_quiet(tmp_path: Path) -> None:
    # Another thread may take the signal, and then it is told to this one a moment later.
    interrupt = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: time.sleep(0.01)\n"
    (tmp_path / "typer.py").write_text(interrupt)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run(tmp_path, "users", "list", PYTHONPATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_character_that_standard_output_has_not_is_written_as_its_number(tmp_path: Path) -> None:
    name = "山田 é"
    options = ("--username", "lak", "--role", "customer", "--name", name)
    assert in_process.run(tmp_path, "users", "create", *options).returncode == 0
    listed = subprocess.run(
        [sys.executable, "-m", "server", "users", "list"],
        cwd=tmp_path,
        env=environment(PYTHONIOENCODING="latin-1"),
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert "\\u5c71\\u7530 é" in listed.stdout.decode("latin-1")
