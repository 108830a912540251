"""`mail preview`."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

from server.mail.model import MailKind
from tests.in_process import run


def test_a_mail_is_shown_in_each_language(tmp_path: Path) -> None:
    shown = run(tmp_path, "mail", "preview", "reset-password")
    assert shown.returncode == 0, shown.stderr
    assert "reset-password.en: Set a new password for Watchword\n\nHello lak,\n" in shown.stdout
    assert "reset-password.de: Neues Passwort für Watchword\n\nGuten Tag lak,\n" in shown.stdout
    shown = run(tmp_path, "mail", "preview", "reset-password", "--language", "de")
    assert "reset-password.en" not in shown.stdout
    assert shown.stdout.startswith("reset-password.de: ")
    assert list(tmp_path.iterdir()) == []


def test_all_mails_are_written_as_text_html_and_message(tmp_path: Path) -> None:
    for _ in range(2):
        written = run(tmp_path, "mail", "preview", "all", "--output", "there/previews")
        assert written.returncode == 0, written.stderr
    folder = tmp_path / "there" / "previews"
    expected = {f"{kind}.{language}" for kind in MailKind for language in ("en", "de")}
    expected |= {"primary-changed-2.en", "primary-changed-2.de"}
    assert {path.name for path in folder.iterdir()} == {
        f"{name}{ending}" for name in expected for ending in (".txt", ".html", ".eml")
    }
    message = email.message_from_bytes((folder / "test.de.eml").read_bytes(), EmailMessage, policy=email.policy.SMTP)
    body = message.get_body(("html",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == (folder / "test.de.html").read_text("utf-8")
    assert (folder / "test.de.txt").read_text("utf-8").startswith("Subject: Testmail von Watchword\n\nGuten Tag,\n")


def test_it_uses_the_folder_of_templates_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "test.en.txt").write_text("Subject: Ours\n\nWords of {{ service }}\n", "utf-8")
    shown = run(tmp_path, "mail", "preview", "test", WATCHWORD__MAIL__TEMPLATES="mails")
    assert shown.stdout.startswith("test.en: Ours\n\nWords of Watchword\n")
    (tmp_path / "mails" / "test.en.txt").write_text("Subject: Ours\n\nWords of {{ servce }}\n", "utf-8")
    shown = run(tmp_path, "mail", "preview", "test", WATCHWORD__MAIL__TEMPLATES="mails")
    assert shown.returncode == 2
    assert "mail.templates: mails/test.en.txt, line 3: there is no 'servce'; did you mean service?" in shown.stderr


def test_what_there_is_not_is_refused(tmp_path: Path) -> None:
    for arguments, said in (
        (("nothing",), "choose one of: all, confirm-email, "),
        (("test", "--language", "fr"), "pages.languages has en, de"),
    ):
        shown = run(tmp_path, "mail", "preview", *arguments)
        assert (shown.returncode, shown.stdout) == (2, "")
        assert said in " ".join(shown.stderr.split())
    (tmp_path / "file").touch()
    shown = run(tmp_path, "mail", "preview", "test", "--output", "file")
    assert (shown.returncode, "can't be written" in shown.stderr) == (1, True)
