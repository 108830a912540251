"""The watch hears what it is there for; else the silence that other tests prove would prove nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.security.watch import Trap, Watch


def test_a_file_that_is_opened_is_heard(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("x")
    with watch.on() as deeds:
        path.read_text()
    assert any(deed.startswith("open ") and str(path) in deed for deed in deeds)


def test_a_folder_that_is_listed_is_heard(watch: Watch, tmp_path: Path) -> None:
    with watch.on() as deeds:
        list(tmp_path.iterdir())
    assert any(str(tmp_path) in deed for deed in deeds)


def test_a_connection_is_heard_and_noted_by_the_trap(watch: Watch, trap: Trap) -> None:
    assert trap.visitors() == 0
    with watch.on() as deeds, socket.create_connection((trap.host, trap.port)):
        pass
    assert any(deed.startswith("socket.connect ") and str(trap.port) in deed for deed in deeds)
    assert any(deed.startswith("socket.getaddrinfo ") for deed in deeds)
    assert (trap.visitors(), trap.visitors()) == (1, 0)


def test_a_url_that_is_fetched_is_heard(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text("{}")
    with watch.on() as deeds, urllib.request.urlopen(path.as_uri()):  # noqa: S310 - a file of its own
        pass
    assert any(deed.startswith("urllib.Request ") for deed in deeds)


def test_a_name_that_is_resolved_is_heard(watch: Watch) -> None:
    with watch.on() as deeds:
        socket.getaddrinfo("localhost", 443)
    assert any(deed.startswith("socket.getaddrinfo ") and "localhost" in deed for deed in deeds)


def test_a_process_that_is_started_is_heard(watch: Watch) -> None:
    with watch.on() as deeds:
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert any(deed.startswith("subprocess.Popen ") for deed in deeds)


def test_what_is_done_while_nobody_watches_is_not_kept(watch: Watch, tmp_path: Path) -> None:
    with watch.on() as deeds:
        len(deeds)
    (tmp_path / "x").write_text("x")
    assert deeds == []
