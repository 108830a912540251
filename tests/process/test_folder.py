"""What a start names, and what a command asks on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.in_process import run
from tests.process.server_process import DEADLINE_SECONDS, environment, serving


def test_the_start_and_the_check_name_settings_file_and_store(tmp_path: Path) -> None:
    store = tmp_path / "data" / "watchword.db"
    with serving(tmp_path, WATCHWORD_PORT="tcp://10.0.0.7:8080") as server:
        assert server.stop() == 0
    assert server.banner.splitlines()[:3] == [
        f"settings  none; there is no config.toml in {tmp_path}",
        f"store     {store}",
        "ignored   WATCHWORD_PORT, which the container host has made",
    ]
    (tmp_path / "config.toml").write_text("[server]\nport = 0\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    checked = run(elsewhere, "config", "check", "--config", "../config.toml")
    assert checked.stdout.splitlines()[:2] == [
        f"settings  {elsewhere}/../config.toml",
        f"store     {elsewhere / 'data' / 'watchword.db'}",
    ]


def talk(folder: Path, *answers: tuple[str, str]) -> str:
    """`users create` on a terminal of its own; each answer is typed when its question is there. All that was shown."""
    keyboard, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "users", "create"],
        cwd=folder,
        env=environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        for question, answer in answers:
            # What is typed before the question is thrown away, where a password is asked for. Its space comes last.
            while not (question in (line := shown.decode().rpartition("\n")[2]) and line.endswith(": ")):
                shown += os.read(keyboard, 4096)
            os.write(keyboard, f"{answer}\n".encode())
        with contextlib.suppress(OSError):
            # Linux says the end of a terminal as an error.
            while part := os.read(keyboard, 4096):
                shown += part
        assert process.wait(DEADLINE_SECONDS) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)
    return shown.decode()


def test_users_create_asks_on_a_terminal_for_what_is_not_given(tmp_path: Path) -> None:
    password = "brown otters juggle turnips"
    shown = talk(
        tmp_path, ("Username", "lak"), ("Role", "customer"), ("Password", password), ("The same again", password)
    )
    assert "made lak (customer), id " in shown
    assert "reset token, " not in shown
    assert password not in shown
    shown = talk(tmp_path, ("Username", "bob"), ("Role (customer, admin)", "admin"), ("Password", ""))
    assert "made bob (admin), id " in shown
    assert "reset token, to set a password" in shown
    missing = run(tmp_path, "users", "create", "--username", "x")
    assert missing.returncode == 2
    assert "--role" in missing.stderr


def test_the_help_names_the_program_as_it_was_called() -> None:
    for name in ("watchword", "python -m server"):
        script = f"import sys; from server.cli import main; sys.argv = ['/x/{name.split()[0]}', '--help']; main()"
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True
        )
        assert f"Usage: {name} " in done.stdout
