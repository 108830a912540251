"""Mails as files in a folder."""

from __future__ import annotations

import email
import email.policy
import os
import stat
from pathlib import Path

import pytest

from server.core.ids import Ids, SystemRandomness
from server.files import drafts
from server.mail.transport.folder import FolderTransport
from server.mail.transport.model import Outcome, OutgoingMail, Sending
from tests.clock import FakeClock
from tests.mail.transport.sending import LAK, outgoing, sent

SENT = Sending(Outcome.SENT)


def _into(folder: Path) -> FolderTransport:
    return FolderTransport(folder, Ids(FakeClock(), SystemRandomness()))


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_each_mail_is_a_file_that_only_this_user_reads(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mails"
    before = os.umask(0)
    try:
        assert await sent(_into(folder), *(outgoing(number=number) for number in range(20))) == [SENT] * 20
    finally:
        os.umask(before)
    files = _files(folder)
    assert len(files) == 20
    assert {file.suffix for file in files} == {".eml"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    parsed = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert {one["Subject"] for one in parsed} == {f"Mail {number}" for number in range(20)}
    assert {one["To"] for one in parsed} == {LAK}


async def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        assert [file.name.startswith(".") for file in tmp_path.iterdir()] == [True]
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(drafts, "sync", full)
    assert await sent(_into(tmp_path), outgoing()) == [
        Sending(Outcome.UNREACHABLE, f"{tmp_path} takes no files (No space left on device)")
    ]
    assert _files(tmp_path) == []


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (failed,) = await sent(_into(tmp_path / "file"), outgoing())
    assert failed == Sending(Outcome.UNREACHABLE, f"{tmp_path / 'file'} takes no files (File exists)")


async def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    class Same:
        def token_bytes(self, size: int) -> bytes:
            return bytes(size)

    transport = FolderTransport(tmp_path, Ids(FakeClock(), Same()))
    first, second = await sent(transport, outgoing(number=1), outgoing(number=2))
    assert (first, second.outcome) == (SENT, Outcome.UNREACHABLE)
    (file,) = _files(tmp_path)
    assert b"Mail 1" in file.read_bytes()


async def test_a_mail_that_cannot_be_written_does_not_hold_up_the_others(tmp_path: Path) -> None:
    refused, after = await sent(_into(tmp_path), OutgoingMail("lak@ä..com", outgoing().message), outgoing())
    assert (refused.outcome, after) == (Outcome.REFUSED, SENT)
