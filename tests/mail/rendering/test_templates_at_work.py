"""The folder of `mail.templates` where a server runs: at its start, in `config check`, and at a reload."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests import in_process
from tests.calling import wait_until
from tests.process.server_process import ServerProcess, run, serving

WRONG = "mail.templates: mails/invitation.en.txt, line 3: there is no 'lnk'; did you mean link?"
BOTH = pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])


def set_up(folder: Path, workers: int) -> None:
    (folder / "mails").mkdir()
    (folder / "config.toml").write_text(
        f'[server]\nworkers = {workers}\npublic_url = "https://auth.example.com"\n'
        '[registration]\nmode = "invitation"\n[pages]\nlanguages = ["en"]\n'
        f'[mail]\nurl = "file://{folder}/sent"\nfrom = "auth@example.com"\ntemplates = "mails"\n'
    )


def write(folder: Path, subject: str, link: str = "link") -> None:
    (folder / "mails" / "invitation.en.txt").write_text(f"Subject: {subject}\n\n{{{{ {link} }}}}\n")


def subject_of_invitation(folder: Path, server: ServerProcess, token: str) -> str:
    """Of a mail that the server sends now."""
    before = set((folder / "sent").glob("*.eml"))
    assert server.call("POST", "/invitations", {"email": "john@example.com"}, token=token)[0] == 201
    wait_until(lambda: bool(set((folder / "sent").glob("*.eml")) - before))
    (new,) = set((folder / "sent").glob("*.eml")) - before
    message = email.message_from_bytes(new.read_bytes(), EmailMessage, policy=email.policy.SMTP)
    return str(message["Subject"])


@BOTH
def test_a_start_with_a_template_that_does_not_work_is_refused(tmp_path: Path, workers: int) -> None:
    set_up(tmp_path, workers)
    write(tmp_path, "Ours", "lnk")
    refused = run(tmp_path, "serve", "--port", "0")
    assert refused.returncode == 2
    assert WRONG in refused.stderr
    checked = in_process.run(tmp_path, "config", "check")
    assert (checked.returncode, WRONG in checked.stderr) == (2, True)
    write(tmp_path, "Ours")
    assert in_process.run(tmp_path, "config", "check").returncode == 0


@BOTH
def test_a_reload_reads_them_again_and_keeps_those_that_work(tmp_path: Path, workers: int) -> None:
    set_up(tmp_path, workers)
    write(tmp_path, "First")
    with serving(tmp_path) as server:
        token = server.log_in("admin", server.admin_password())["token"]
        assert subject_of_invitation(tmp_path, server, token) == "First"
        write(tmp_path, "Second")
        done = in_process.run(tmp_path, "config", "reload")
        assert (done.returncode, done.stdout) == (0, "reloaded: mail.templates\n"), done.stderr
        assert subject_of_invitation(tmp_path, server, token) == "Second"
        write(tmp_path, "Third", "lnk")
        done = in_process.run(tmp_path, "config", "reload")
        assert (done.returncode, WRONG in done.stderr) == (1, True)
        assert subject_of_invitation(tmp_path, server, token) == "Second"
