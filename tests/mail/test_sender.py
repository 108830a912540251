"""The background task, against a real SMTP server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from server.core.errors import StoreUnavailable
from server.mail import lane
from server.mail import sender as sender_module
from server.mail.claims import BEGIN_WITHIN_SECONDS, LEASE_MS
from server.mail.lane import BATCH
from server.mail.mailing import Mailing
from server.mail.model import MailKind, NewMail
from server.mail.outbox_model import TRY_FOR_MS, MailResult
from server.mail.sender import MOST_LANES, Sender
from server.mail.transport.model import LONGEST_SEND_SECONDS
from server.repositories import Repositories
from tests.clock import FakeClock
from tests.mail.mail_server import MailServer, mail_server
from tests.mail.outboxes import Sending, invitation, outbox_on, rows, states
from tests.mail.transport.raw_server import MAIL_END, Bad, raw_server
from tests.mail.transport.sending import SHORT, transport_to
from tests.process.clients import until

HOUR_SECONDS = 3600


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
async def sending(store: Repositories, server: MailServer) -> Sending:
    return Sending(store, FakeClock(), transport_to(server.url))


async def test_a_mail_arrives_with_what_was_written_and_the_time_and_id_of_then(
    sending: Sending, server: MailServer
) -> None:
    await sending.put(invitation("lak@example.com"))
    written_at = sending.clock.now_ms()
    sending.clock.advance(77)
    await sending.round()
    (mail,) = server.messages
    (row,) = await rows(sending.store)
    assert (mail.recipient, mail.subject) == ("lak@example.com", "invitation (en)")
    assert "path: /invitation#wwi_secret" in mail.text
    assert mail.message_id == row["message_id"]
    assert mail.message["Date"].datetime == datetime.fromtimestamp(written_at // 1000, UTC)
    assert (row["state"], row["attempts"], row["content"]) == ("sent", 1, None)
    assert row["ended_at"] == sending.clock.now_ms()
    assert sending.counts == {MailResult.SENT: 1}
    await sending.round()
    assert len(server.messages) == 1


async def test_a_batch_goes_over_one_connection_and_many_mails_over_a_few(sending: Sending, server: MailServer) -> None:
    await sending.put(*(invitation(f"user{number}@example.com") for number in range(BATCH - 1)))
    await sending.round()
    assert server.connections == 1
    await sending.put(*(invitation(f"user{number}@example.com") for number in range(100)))
    await sending.round()
    assert 2 <= server.connections <= 10
    assert len({mail.message_id for mail in server.messages}) == 100 + BATCH - 1
    assert await states(sending.store) == [("sent", 1)] * (100 + BATCH - 1)


async def test_a_recipient_that_is_refused_for_good_is_given_up_at_once_and_holds_up_nobody(
    sending: Sending, server: MailServer
) -> None:
    server.replies["RCPT"] = lambda address: "550 5.1.1 no such user" if address == "gone@example.com" else None
    await sending.put(invitation("gone@example.com"), invitation("lak@example.com"))
    with capture_logs() as lines:
        await sending.round()
    assert [mail.recipient for mail in server.messages] == ["lak@example.com"]
    gone = next(row for row in await rows(sending.store) if row["recipient"] == "gone@example.com")
    assert (gone["state"], gone["attempts"]) == ("given_up", 1)
    assert "550 5.1.1 no such user" in gone["reason"]
    assert gone["content"] is not None
    assert sending.counts == {MailResult.SENT: 1, MailResult.REFUSED: 1}
    (line,) = lines
    assert (line["event"], line["mail_id"], line["result"]) == ("mail given up", gone["id"], "refused")
    assert "gone@example.com" not in str({**line, "reason": ""})


async def test_a_mail_that_is_refused_for_now_is_tried_again_later_and_later(
    sending: Sending, server: MailServer
) -> None:
    server.replies["DATA"] = "451 4.7.1 greylisted"
    await sending.put(invitation())
    for attempts, seconds in enumerate((10, 30, 60), 1):
        await sending.round()
        ((state, tried),) = await states(sending.store)
        assert (state, tried) == ("waiting", attempts)
        sending.clock.advance(seconds * 0.89)
        await sending.round()
        assert await states(sending.store) == [("waiting", attempts)]
        sending.clock.advance(seconds * 0.22)
    server.replies.clear()
    await sending.round()
    assert await states(sending.store) == [("sent", 4)]
    assert sending.counts == {MailResult.DEFERRED: 3, MailResult.SENT: 1}


async def test_after_a_day_it_is_given_up_with_the_last_reason(sending: Sending, server: MailServer) -> None:
    server.replies["DATA"] = "452 4.2.2 mailbox full"
    await sending.put(invitation())
    for _ in range(12):
        await sending.round()
        sending.clock.advance(8.8 * HOUR_SECONDS / 4)
    (row,) = await rows(sending.store)
    assert row["state"] == "given_up"
    assert "452 4.2.2 mailbox full" in row["reason"]
    assert row["ended_at"] < row["created_at"] + TRY_FOR_MS
    assert sending.counts[MailResult.EXPIRED] == 1


async def test_a_server_that_can_not_be_reached_costs_one_attempt_and_no_mail_anything(sending: Sending) -> None:
    sending.mailing = Mailing(sending.outbox, sending.renderer, transport_to("smtp://127.0.0.1:9", SHORT))
    await sending.put(*(invitation(f"user{number}@example.com") for number in range(50)))
    with capture_logs() as lines:
        for _ in range(20):
            await sending.round()
        # The connections that were open at the same time.
        assert 1 <= sending.counts[MailResult.UNREACHABLE] <= MOST_LANES
        assert await states(sending.store) == [("waiting", 0)] * 50
        assert {row["claim"] for row in await rows(sending.store)} == {None}
        assert any(row["reason"] for row in await rows(sending.store))
        # It asks after 5 s, 10, 20, 40, and then each minute, with one mail.
        for pause in (5, 10, 20, 40, 60, 60):
            before = sending.counts[MailResult.UNREACHABLE]
            sending.clock.advance(pause - 0.1)
            await sending.round()
            assert sending.counts[MailResult.UNREACHABLE] == before, pause
            sending.clock.advance(0.2)
            await sending.round()
            assert sending.counts[MailResult.UNREACHABLE] == before + 1, pause
        for _ in range(20):
            sending.clock.advance(60)
            await sending.round()
    assert await states(sending.store) == [("waiting", 0)] * 50
    assert [line["event"] for line in lines] == [
        "mail server can't be reached; mails wait",
        "mail server can still not be reached; mails wait",
        "mail server can still not be reached; mails wait",
    ]
    assert lines[0]["reason"]


async def test_when_the_server_comes_back_all_are_sent_the_newest_first(sending: Sending, server: MailServer) -> None:
    reachable = sending.mailing
    sending.mailing = Mailing(sending.outbox, sending.renderer, transport_to("smtp://127.0.0.1:9", SHORT))
    for number in range(40):
        sending.clock.advance(0.001)
        await sending.put(invitation(f"user{number}@example.com"))
    with capture_logs() as lines:
        await sending.round()
        # The same Mailing again would be the reload of other settings.
        assert sending.mailing is not None
        assert reachable is not None
        object.__setattr__(sending.mailing, "transport", reachable.transport)
        sending.clock.advance(61)
        await sending.round()
    assert server.messages[0].recipient == "user39@example.com"
    assert {mail.recipient for mail in server.messages} == {f"user{number}@example.com" for number in range(40)}
    assert len(server.messages) == 40
    assert lines[-1]["event"] == "mail server can be reached again"


async def test_other_settings_are_used_at_once_also_while_the_former_server_is_away(
    sending: Sending, server: MailServer
) -> None:
    reachable = sending.mailing
    sending.mailing = Mailing(sending.outbox, sending.renderer, transport_to("smtp://127.0.0.1:9", SHORT))
    await sending.put(invitation())
    await sending.round()
    sending.mailing = None
    await sending.round()
    assert await states(sending.store) == [("waiting", 0)]
    sending.mailing = reachable
    await sending.round()
    assert await states(sending.store) == [("sent", 1)]
    assert len(server.messages) == 1


async def test_after_keys_replace_a_mail_is_given_up_with_this_reason(sending: Sending, server: MailServer) -> None:
    await sending.put(invitation())
    sending.outbox = outbox_on(sending.store, sending.clock, key=b"\x01" * 32)
    assert sending.mailing is not None
    sending.mailing = Mailing(sending.outbox, sending.renderer, sending.mailing.transport)
    await sending.round()
    (row,) = await rows(sending.store)
    assert (row["state"], row["content"]) == ("given_up", None)
    assert "keys of the server were replaced" in row["reason"]
    assert sending.counts == {MailResult.FAILED: 1}
    assert server.messages == []


async def test_a_broken_template_ends_nothing_and_is_tried_again(sending: Sending, server: MailServer) -> None:
    sending.renderer.failures[MailKind.INVITATION] = LookupError("secret-value")
    await sending.put(invitation(), NewMail(MailKind.TEST, "lak@example.com", {}))
    with capture_logs() as lines:
        await sending.round()
    assert [mail.subject for mail in server.messages] == ["test (en)"]
    (broken,) = [row for row in await rows(sending.store) if row["kind"] == "invitation"]
    assert (broken["state"], broken["attempts"]) == ("waiting", 1)
    assert "LookupError" in broken["reason"]
    assert "secret-value" not in broken["reason"]
    assert [line["log_level"] for line in lines] == ["error"]
    sending.renderer.failures.clear()
    sending.clock.advance(11)
    await sending.round()
    assert [mail.subject for mail in server.messages] == ["test (en)", "invitation (en)"]


async def test_a_mail_is_not_sent_twice_by_two_processes(sending: Sending, server: MailServer) -> None:
    assert sending.mailing is not None
    other = Sending(sending.store, sending.clock, sending.mailing.transport, node="node-b").sender
    await sending.put(*(invitation(f"user{number}@example.com") for number in range(60)))
    await asyncio.gather(sending.sender.look(), other.look())
    await asyncio.gather(sending.sender.idle(), other.idle())
    recipients = [mail.recipient for mail in server.messages]
    assert len(recipients) == len(set(recipients)) == 60


async def test_a_process_that_was_killed_while_it_sent_leaves_nothing_that_waits_on_a_store_of_one_server(
    sending: Sending, server: MailServer
) -> None:
    await sending.put(invitation())
    assert await sending.claims.claim("node-killed/0/0", sending.clock.now_ms(), 10, newest=True)
    await sending.round()
    assert server.messages == []
    sending.alone = True
    with capture_logs() as lines:
        sending.sender = sending.started()
        await sending.round()
    assert len(server.messages) == 1
    assert [line["count"] for line in lines] == [1]


async def running(sender: Sender, work: asyncio.Event) -> None:
    """Run it until that has happened, and end it as the server does."""
    task = asyncio.create_task(sender.run())
    async with asyncio.timeout(20):
        await work.wait()
        task.cancel()
        await asyncio.wait([task])


async def test_the_end_of_the_server_waits_for_what_is_being_sent_and_leaves_the_rest(
    sending: Sending, server: MailServer
) -> None:
    """Nothing is lost, and nothing arrives twice."""
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def reply(_: str) -> None:
        loop.call_soon_threadsafe(begun.set)

    server.replies["RCPT"] = reply
    await sending.put(*(invitation(f"user{number}@example.com") for number in range(5)))
    await running(sending.sender, begun)
    arrived = {mail.recipient for mail in server.messages}
    assert {row["claim"] for row in await rows(sending.store)} == {None}
    assert {row["recipient"] for row in await rows(sending.store) if row["state"] == "sent"} == arrived
    assert len(server.messages) < 5
    sending.sender = sending.started()
    await sending.round()
    assert sorted(mail.recipient for mail in server.messages) == [f"user{number}@example.com" for number in range(5)]


async def test_a_mail_of_this_process_is_sent_at_once_and_one_of_another_within_seconds(
    sending: Sending, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = asyncio.create_task(sending.sender.run())
    await sending.put(invitation("own@example.com"))
    await asyncio.to_thread(server.wait_for, "own@example.com")
    written = outbox_on(sending.store, sending.clock)
    assert written.written is not sending.outbox.written
    sending.outbox = written
    await sending.put(invitation("others@example.com"))
    await asyncio.to_thread(server.wait_for, "others@example.com")
    task.cancel()
    await asyncio.wait([task])
    assert await states(sending.store) == [("sent", 1)] * 2


def test_a_claim_lasts_longer_than_anybody_works_on_its_last_mail() -> None:
    """Else another process would begin with it meanwhile."""

    assert LEASE_MS > (BEGIN_WITHIN_SECONDS + LONGEST_SEND_SECONDS) * 1000


async def test_a_mail_server_that_does_not_answer_holds_up_the_end_of_the_server_for_seconds(
    store: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it has taken the mail, so it is sent again, with the same Message-ID."""
    monkeypatch.setattr(sender_module, "END_SECONDS", 0.1)
    async with raw_server({MAIL_END: Bad.MUTE}) as server:
        sending = Sending(store, FakeClock(), transport_to(server.url))
        await sending.put(invitation("a@example.com"), invitation("b@example.com"))
        task = asyncio.create_task(sending.sender.run())
        await until(lambda: any("Message-ID" in line for line in server.heard))
        task.cancel()
        await asyncio.wait([task])
    found = await rows(store)
    assert {row["claim"] for row in found} == {None}
    assert sorted((row["state"], row["attempts"], row["reason"] or "") for row in found) == [
        ("waiting", 0, ""),
        ("waiting", 1, "the server stopped while this was sent, so it may have arrived"),
    ]
    # And at once when a server runs again.
    assert {row["next_attempt_at"] for row in found} == {sending.clock.now_ms()}


async def test_while_the_store_is_away_what_was_sent_is_noted_again_and_again(
    sending: Sending, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be sent a second time."""
    monkeypatch.setattr(lane, "_RETRY_SECONDS", 0)
    sent, failures = sending.claims.sent, 3

    async def away(name: str, mail_id: str, now: int) -> bool:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreUnavailable
        return await sent(name, mail_id, now)

    monkeypatch.setattr(sending.claims, "sent", away)
    await sending.put(invitation())
    with capture_logs() as lines:
        await sending.round()
    assert len(server.messages) == 1
    assert await states(sending.store) == [("sent", 1)]
    assert [line["event"] for line in lines] == ["what became of a mail can't be written; trying again"]
