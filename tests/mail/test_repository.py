"""What admins see of mails, and what becomes of them after their end, on both databases."""

from __future__ import annotations

from collections import Counter

from server.mail.outbox_model import TRY_FOR_MS, MailResult, MailState, Unsent
from server.mail.tidying import GIVEN_UP_MS, SENT_MS, tidy_mails
from server.repositories import Repositories
from tests.clock import FakeClock
from tests.mail.outboxes import invitation, outbox_on, put, rows, states

LAST = "g"
MINUTE_SECONDS = 60


async def test_mails_are_listed_by_state_the_newest_first(store: Repositories) -> None:
    clock = FakeClock()
    outbox = outbox_on(store, clock)
    for number in range(4):
        clock.advance(1)
        await put(store, outbox, invitation(f"user{number}@example.com"))
    now = clock.now_ms()
    oldest, second = await store.mail_claims.claim("a", now, 2, newest=False)
    await store.mail_claims.sent("a", oldest.id, now)
    await store.mail_claims.give_up("a", second.id, now, "550 no", readable=True)
    everything = await store.mails.list_mails(None, 10, LAST)
    assert [(mail.recipient[4], mail.state) for mail in everything] == [
        ("3", "waiting"),
        ("2", "waiting"),
        ("1", "given_up"),
        ("0", "sent"),
    ]
    assert (everything[2].reason, everything[2].ended_at, everything[2].attempts) == ("550 no", now, 1)
    waiting = await store.mails.list_mails(MailState.WAITING, 1, LAST)
    assert [mail.recipient for mail in waiting] == ["user3@example.com"]
    assert [mail.recipient for mail in await store.mails.list_mails(MailState.WAITING, 9, waiting[0].id)] == [
        "user2@example.com"
    ]
    assert await store.mails.get(oldest.id) == everything[3]
    assert await store.mails.unsent() == [
        Unsent("given_up", 1, everything[2].created_at),
        Unsent("waiting", 2, everything[1].created_at),
    ]
    assert await store.mails.get("01990000-0000-7000-8000-000000000009") is None


async def test_old_mails_are_deleted_and_before_that_what_is_in_them(store: Repositories) -> None:
    clock, counts = FakeClock(), Counter[MailResult]()

    def count(result: MailResult) -> None:
        counts[result] += 1

    async def tidy(after_ms: int) -> None:
        await tidy_mails(store, clock.now_ms() + after_ms, count)

    await put(store, outbox_on(store, clock), *(invitation() for _ in range(3)))
    now = clock.now_ms()
    sent, refused = await store.mail_claims.claim("a", now, 2, newest=False)
    await store.mail_claims.sent("a", sent.id, now)
    await store.mail_claims.give_up("a", refused.id, now, "550 no", readable=True)
    await tidy(TRY_FOR_MS - 1)
    assert sorted(await states(store)) == [("given_up", 1), ("sent", 1), ("waiting", 0)]
    assert counts == {}
    await tidy(TRY_FOR_MS)
    assert sorted(await states(store)) == [("given_up", 0), ("given_up", 1), ("sent", 1)]
    assert {row["content"] for row in await rows(store)} == {None}
    assert counts == {MailResult.EXPIRED: 1}
    await tidy(SENT_MS - 1)
    assert len(await rows(store)) == 3
    await tidy(SENT_MS)
    assert {row["state"] for row in await rows(store)} == {"given_up"}
    await tidy(GIVEN_UP_MS)
    assert await states(store) == [("given_up", 0)]
    await tidy(GIVEN_UP_MS + TRY_FOR_MS)
    assert await rows(store) == []
    assert counts == {MailResult.EXPIRED: 1}
