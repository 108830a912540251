"""`mail test`: what works, step by step, and the first thing that does not."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.in_process import run
from tests.mail.mail_server import mail_server

ELSEWHERE = "127.1"
FROM = {
    "WATCHWORD__MAIL__FROM": "Example <auth@example.com>",
    "WATCHWORD__SERVER__PUBLIC_URL": "http://localhost:8080",
}


def _test(folder: Path, url: str, address: str = "lak@example.com", **changes: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "mail", "test", address, WATCHWORD__MAIL__URL=url, **FROM, **changes)


def _failed(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why."""
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert not line.startswith("Traceback")
    return line


def _steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.split(" ")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_each_step_is_told(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path / "authority.pem")
    with mail_server(
        "starttls" if security == "starttls" else "smtps",
        tls=authority.server(ELSEWHERE, "mail.example.com"),
        login=("watchword", "a secret"),
        host=ELSEWHERE,
    ) as server:
        done = _test(tmp_path, server.url, SSL_CERT_FILE=str(authority.path))
        (message,) = server.messages
    assert (done.returncode, done.stderr) == (0, "")
    assert _steps(done) == ["settings", "connection", "TLS", "login", "sender", "recipient", "message", "mail"]
    assert "a secret" not in done.stdout
    assert "certificate for 127.1, mail.example.com until 2" in done.stdout
    assert message.message_id in done.stdout
    assert (message.sender, message.recipient, message.tls) == ("auth@example.com", "lak@example.com", True)
    assert message.text
    assert message.html


def test_on_this_machine_nothing_but_the_server_is_needed(tmp_path: Path) -> None:
    with mail_server() as server:
        done = _test(tmp_path, server.url)
    assert done.returncode == 0
    assert "none, and none is needed" in done.stdout
    assert "none, since mail.url has no user" in done.stdout


def test_a_folder(tmp_path: Path) -> None:
    done = _test(tmp_path, f"file://{tmp_path}/mails")
    assert done.returncode == 0
    assert _steps(done) == ["settings", "folder"]
    (file,) = (tmp_path / "mails").iterdir()
    assert b"To: lak@example.com" in file.read_bytes()


def test_no_mail_is_set(tmp_path: Path) -> None:
    done = run(tmp_path, "mail", "test", "lak@example.com")
    assert "mail.url is empty" in _failed(done)


def test_what_is_no_address(tmp_path: Path) -> None:
    done = _test(tmp_path, "smtp://127.0.0.1", "lak@@example.com")
    assert done.returncode == 2
    assert "an address like lak@example.com" in done.stderr


def test_nobody_listens(tmp_path: Path) -> None:
    with mail_server() as server:
        url = server.url
    done = _test(tmp_path, url)
    assert _steps(done) == ["settings"]
    assert _failed(done).startswith(f"connection: 127.0.0.1:{server.port}: Connection refused; look at host and port")


def test_tls_that_is_not_offered(tmp_path: Path) -> None:
    with mail_server(host=ELSEWHERE) as server:
        done = _test(tmp_path, server.url)
    assert _steps(done) == ["settings", "connection"]
    assert "TLS: TLS is not offered by 127.1:" in _failed(done)


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_a_certificate_that_has_ended(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path / "authority.pem")
    with mail_server(
        "starttls" if security == "starttls" else "smtps",
        tls=authority.server(ELSEWHERE, until=dt.timedelta(hours=-1)),
        host=ELSEWHERE,
    ) as server:
        done = _test(tmp_path, server.url, SSL_CERT_FILE=str(authority.path))
    failed = _failed(done)
    assert failed.startswith("TLS: ")
    assert "certificate has expired; renew it" in failed


def test_a_login_that_is_wrong(tmp_path: Path) -> None:
    with mail_server(login=("watchword", "right")) as server:
        done = _test(tmp_path, server.url.replace(":right@", ":not-right@"))
    failed = _failed(done)
    assert failed.startswith("login: ")
    assert "refuses the login: 535" in failed
    assert "not-right" not in done.stdout + done.stderr


@pytest.mark.parametrize(("command", "step"), [("MAIL", "sender"), ("RCPT", "recipient"), ("DATA", "message")])
def test_a_mail_that_is_refused(tmp_path: Path, command: str, step: str) -> None:
    with mail_server() as server:
        server.replies[command] = "550 5.7.1 not from \x1b[31m you"
        done = _test(tmp_path, server.url)
    failed = _failed(done)
    assert failed.startswith(f"{step}: ")
    assert "550 5.7.1 not from" in failed
    assert "\x1b" not in failed


def test_the_remedy_fits_what_was_said(tmp_path: Path) -> None:
    with mail_server() as server:
        place = f"127.0.0.1:{server.port}"
        mixed_up = _failed(_test(tmp_path, f"smtps://{place}"))
        no_login = _failed(_test(tmp_path, f"smtp://user:password@{place}"))
        server.replies["RCPT"] = "451 4.7.1 come back later"
        later = _failed(_test(tmp_path, server.url))
    assert mixed_up.endswith("TLS failed: wrong version number; smtps:// goes with port 465, smtp:// with 587 and 25")
    assert "offers no login by a password (AUTH PLAIN or LOGIN); leave user and password out of mail.url" in no_login
    assert "451 4.7.1 come back later; the server says that it may take it later" in later
