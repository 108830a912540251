"""The outbox: mails are written with the change that they tell of, sealed."""

from __future__ import annotations

import hashlib

import orjson
import pytest

from server.core.ids import Ids, SystemRandomness
from server.core.origin import Origin, reset_origin, set_origin
from server.core.sealing import Unreadable
from server.database.driver import Transaction
from server.mail.errors import MailNotConfigured
from server.mail.model import MailKind, NewMail
from server.mail.outbox_model import TRY_FOR_MS
from server.mail.sealing import Sealing
from server.repositories import Repositories
from server.settings.mail import MailSettings
from tests.clock import FakeClock
from tests.mail.outboxes import invitation, outbox_on, put, rows

INVITATION = invitation()


async def test_a_mail_is_on_disk_with_the_change_and_nobody_reads_it_there(store: Repositories) -> None:
    clock = FakeClock()
    outbox = outbox_on(store, clock)
    await put(store, outbox, INVITATION)
    (row,) = await rows(store)
    now = clock.now_ms()
    assert (row["kind"], row["recipient"], row["user_id"]) == ("invitation", "lak@example.com", None)
    assert (row["state"], row["attempts"], row["claim"], row["ended_at"]) == ("waiting", 0, None, None)
    assert (row["created_at"], row["give_up_at"]) == (now, now + TRY_FOR_MS)
    assert row["message_id"] == f"<{row['id']}@mail.example>"
    assert b"secret" not in bytes(row["content"])
    assert outbox.written.is_set()


async def test_a_change_that_fails_mails_nothing(store: Repositories) -> None:
    writer = outbox_on(store, FakeClock()).writer()

    async def unit(transaction: Transaction) -> None:
        await writer.put(transaction, INVITATION)
        raise LookupError

    with pytest.raises(LookupError):
        await store.driver.write(unit)
    assert await rows(store) == []


async def test_nobody_tries_longer_than_its_link_is_of_use(store: Repositories) -> None:
    clock = FakeClock()
    until = clock.now_ms() + 1_800_000
    await put(
        store,
        outbox_on(store, clock),
        NewMail(MailKind.RESET_PASSWORD, "lak@example.com", {}, useful_until=until),
        NewMail(MailKind.INVITATION, "lak@example.com", {}, useful_until=clock.now_ms() + 7 * TRY_FOR_MS),
    )
    ends = {row["kind"]: row["give_up_at"] for row in await rows(store)}
    assert ends == {"reset-password": until, "invitation": clock.now_ms() + TRY_FOR_MS}


async def test_a_mail_speaks_the_language_of_the_request_unless_it_has_its_own(store: Repositories) -> None:
    before = set_origin(lambda: Origin("http", languages=("sv", "de", "en")))
    try:
        outbox = outbox_on(store, FakeClock())
        await put(store, outbox, INVITATION)
        await put(store, outbox, NewMail(MailKind.TEST, "lak@example.com", {}, language="en"))
    finally:
        reset_origin(before)
    assert {row["kind"]: row["language"] for row in await rows(store)} == {"invitation": "de", "test": "en"}


async def test_without_a_mail_server_nothing_is_written_and_what_needs_one_is_refused(store: Repositories) -> None:
    outbox = outbox_on(store, FakeClock(), mail=MailSettings())
    await put(store, outbox, INVITATION)
    assert not outbox.enabled
    assert await rows(store) == []
    with pytest.raises(MailNotConfigured):
        outbox.require_enabled()


def test_what_is_sealed_opens_only_with_its_key_for_its_mail_and_unaltered() -> None:
    ids = Ids(FakeClock(), SystemRandomness())
    key = bytearray(32)
    sealing = Sealing(lambda: bytes(key), ids)
    seal = sealing.current()
    sealed = seal.seal(orjson.dumps({"code": "K7PM-2QXR"}), "one mail")
    assert orjson.loads(seal.unseal(sealed, "one mail")) == {"code": "K7PM-2QXR"}
    for wrong, context in [
        (sealed, "another mail"),
        (sealed[:-1], "one mail"),
        (b"", "one mail"),
        (b"\x02" + sealed[1:], "one mail"),
    ]:
        with pytest.raises(Unreadable):
            seal.unseal(wrong, context)
    assert sealing.current() is seal
    key[:] = hashlib.sha256(b"keys replace").digest()
    with pytest.raises(Unreadable):
        sealing.current().unseal(sealed, "one mail")
