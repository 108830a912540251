"""Mails as files in a folder, for trying out: any mail program opens them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.core.ids import Ids
from server.files import drafts
from server.files.ownership import make_folder
from server.mail.transport.mailbox import smtp_address
from server.mail.transport.model import MailSession, Outcome, OutgoingMail, Sending
from server.mail.transport.reasons import one_line


class FolderTransport:
    """Writes each mail into a file `ID.eml` that only this user can read; the ids sort by time."""

    def __init__(self, folder: Path, ids: Ids) -> None:
        self._folder, self._ids = folder, ids

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MailSession]:
        """See `Transport`."""
        yield self

    async def send(self, mail: OutgoingMail) -> Sending:
        """See `MailSession`."""
        try:
            data = mail.as_bytes(utf8=not smtp_address(mail.recipient).isascii())
        except Exception as error:  # noqa: BLE001 - one mail that can't be written must not hold up the others
            return Sending(Outcome.REFUSED, f"it can't be written as a mail ({type(error).__name__})")
        try:
            await asyncio.to_thread(self._write, f"{self._ids.new_id()}.eml", data)
        except OSError as error:
            reason = f"{self._folder} takes no files ({error.strerror or type(error).__name__})"
            return Sending(Outcome.UNREACHABLE, one_line(reason))
        return Sending(Outcome.SENT)

    def _write(self, name: str, data: bytes) -> None:
        """Raises OSError. Nothing is left of a file that could not be written."""
        make_folder(self._folder)
        draft = self._folder / f".{name}.unfinished"
        try:
            with os.fdopen(drafts.make(draft), "wb") as opened:
                opened.write(data)
            drafts.give_name(draft, self._folder / name)
        finally:
            with suppress(OSError):
                draft.unlink()
