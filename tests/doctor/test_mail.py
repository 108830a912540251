"""What `doctor` says of mail."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

from server.core.clock import SystemClock
from tests.certificates import Authority
from tests.doctor.examined import Examined, examined
from tests.in_process import serving
from tests.mail.mail_server import mail_server

ELSEWHERE = "127.1"


def _examined(folder: Path, url: str, **changes: str) -> Examined:
    given = {
        "WATCHWORD__MAIL__URL": url,
        "WATCHWORD__MAIL__FROM": "auth@example.com",
        "WATCHWORD__SERVER__PUBLIC_URL": "http://localhost:8080",
    }
    return examined(folder, **given, **changes)


def test_no_mail_is_set(tmp_path: Path) -> None:
    (said,) = examined(tmp_path).told("note", "mail")
    assert "no mail is sent, since mail.url is empty" in said


def test_a_server_is_asked_and_gets_no_mail(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority.pem")
    with mail_server(
        "starttls",
        tls=authority.server(ELSEWHERE, until=dt.timedelta(days=15)),
        login=("watchword", "a secret"),
        host=ELSEWHERE,
    ) as server:
        found = _examined(tmp_path, server.url, SSL_CERT_FILE=str(authority.path))
        assert server.messages == []
        assert server.ends == ["QUIT"]
    assert [line.split(":")[0] for line in found.told("ok", "mail")] == ["connection", "TLS", "login"]
    assert found.levels("mail") == {"ok"}


def test_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority.pem")
    certificate = authority.server(ELSEWHERE, until=dt.timedelta(days=13))
    with mail_server("smtps", tls=certificate, host=ELSEWHERE) as server:
        (said,) = _examined(tmp_path, server.url, SSL_CERT_FILE=str(authority.path)).told("warning", "mail")
    assert said.startswith("TLS: ")
    assert "renew it" in said


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    with mail_server() as server:
        url = server.url
    assert _examined(tmp_path, url).names("mail", "Connection refused")


def test_a_folder(tmp_path: Path) -> None:
    (said,) = _examined(tmp_path, f"file://{tmp_path}/mails").told("ok", "mail")
    assert "nobody else gets them" in said
    assert not (tmp_path / "mails").exists()
    (tmp_path / "file").write_text("")
    assert _examined(tmp_path, f"file://{tmp_path}/file").names("mail", "takes no files")


def test_what_waits_and_what_was_given_up(tmp_path: Path) -> None:
    with serving(tmp_path):
        pass
    assert examined(tmp_path).told("ok", "mail") == []
    now = SystemClock().now_ms()
    with closing(sqlite3.connect(tmp_path / "data" / "watchword.db", isolation_level=None)) as connection:
        for number, (state, minutes) in enumerate([("waiting", 5), ("waiting", 31), ("given_up", 600), ("sent", 700)]):
            connection.execute(
                "INSERT INTO mails (id, kind, recipient, language, message_id, state, attempts, created_at, "
                "next_attempt_at, give_up_at) VALUES (?, 'test', 'lak@example.com', 'en', '<1@x>', ?, 1, ?, 0, 0)",
                (str(number), state, now - minutes * 60_000),
            )
    found = examined(tmp_path)
    given_up, waiting = found.told("warning", "mail")
    assert given_up.startswith("given up: 1 in the last 30 days; ")
    assert waiting.startswith("waiting: 2, one of them for 31 minutes; ")
    assert "lak@example.com" not in str(found.findings)


def test_templates_that_cannot_be_used(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "test.en.txt").write_text("{{ nothing_of_that_name }}")
    found = _examined(tmp_path, f"file://{tmp_path}/mails", WATCHWORD__MAIL__TEMPLATES=str(templates))
    assert found.names("mail", "test.en.txt")
