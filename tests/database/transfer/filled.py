"""A store with rows in all tables, and what is in a store."""

from __future__ import annotations

from typing import Any

from server.database.driver import Transaction
from server.database.inserting import insert_into
from server.database.open import Store
from server.database.transfer import places
from server.database.transfer.move import MovedTable, move
from server.database.transfer.table import Digest
from server.repositories import Repositories
from tests.records import (
    NOW,
    add_invitations,
    add_user,
    end_session,
    id_of,
    invitation,
    key,
    new_user,
    open_session,
    session,
)

# Characters of one to four bytes, whose order by byte is not that of any language.
NAMES = ("Zoë", "zoe", "Ångström", "äpfel", "山田太郎", "😀 smile", "ß", "a'b\"c\\d", "%_")

_MAIL: dict[str, Any] = {
    "kind": "invitation",
    "recipient": "zoë@bücher.example",
    "language": "de",
    "message_id": "<1@example.com>",
    "created_at": NOW,
    "next_attempt_at": NOW,
    "give_up_at": NOW + 1,
}
# Among others what waits for a mail, what is being sent just now, and what was sent.
_ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mails", _MAIL | {"id": id_of(1), "state": "waiting", "attempts": 0, "content": b"\x00\xff", "user_id": id_of(1)}),
    (
        "mails",
        _MAIL
        | {"id": id_of(2), "state": "waiting", "attempts": 1, "content": b"x", "claim": "a/0/1", "claimed_until": 2**62}
        | {"reason": "451 später"},
    ),
    ("mails", _MAIL | {"id": id_of(3), "state": "sent", "attempts": 1, "ended_at": NOW}),
    (
        "mail_requests",
        {"id": id_of(1), "purpose": "reset_password", "identifier": b"\x00", "challenge_id": id_of(1)}
        | {"language": "de", "created_at": NOW},
    ),
    (
        "challenges",
        {"id": id_of(1), "purpose": "sign_in", "user_id": id_of(1), "email": "Zoë@example.com"}
        | {"email_key": "zoë@example.com", "token_digest": b"\x00\xfe", "code_digest": b"", "browser_digest": b"\x01"}
        | {"password_changed_at": NOW, "created_at": NOW, "expires_at": NOW + 1},
    ),
    ("known_clients", {"user_id": id_of(1), "client": "digest", "seen_at": NOW}),
    ("unconfirmed_users", {"user_id": id_of(2), "confirm_until": NOW + 1}),
    ("audit_times", {"size": 1000, "part": 0, "earliest_at": NOW, "latest_at": 2**62}),
)


async def fill(store: Repositories) -> None:
    """Rows in every table, with NULL and without, and numbers that were given and whose rows are gone."""
    await store.keys.swap_keys([], [key(1), key(2, sealed=b"", revoked_at=NOW)])
    for number, name in enumerate(NAMES):
        await add_user(store, new_user(number, name=name, username=f"user{number}"))
        await open_session(store, session(number, number), NOW)
    # A username with an @ is looked for among the addresses when it is written.
    names = {"username": "zoe@example.com", "email": "zoë@bücher.example"}
    await add_user(store, new_user(99, password_hash=None, **names, email_verified=True))
    for number in (1, 2, 3):
        assert await end_session(store, id_of(number), None, NOW)
    await store.readiness.ping()
    await add_invitations(store, invitation(1, email="zoë@example.com", created_by=id_of(1)), invitation(2, used=1))

    async def unit(transaction: Transaction) -> None:
        # The row with the highest number is gone, and the number must not come again.
        await transaction.run("DELETE FROM revocations WHERE session_id = $1", id_of(3))
        sql = "INSERT INTO guesses (key, failures, retry_at, touched_at) VALUES ($1, $2, $3, $4)"
        await transaction.run(sql, "known:é", 3, 2**62, NOW)
        await transaction.run(sql, "known:z", 0, 0, 0)
        for table, row in _ROWS:
            await transaction.run(insert_into(table, list(row)), *row.values())

    await store.driver.write(unit)


async def contents(url: Store) -> dict[str, tuple[int, str, int | None]]:
    """Of each table the number of rows, their checksum, and its counter."""
    found = {}
    async with places.source_at(url) as source, source.reading():
        for table in (await source.tables()).values():
            digest = Digest()
            async for rows in source.rows(table):
                digest.add(rows)
            counter = await source.counter(table) if table.counts_up else None
            found[table.name] = (digest.count, digest.checksum, counter)
    return found


async def move_to(source_url: Store, target_url: Store, **options: Any) -> list[MovedTable]:
    """As the command does it."""
    given: dict[str, Any] = {"move_id": "move", "now": NOW, "advance": lambda _: None}
    async with places.source_at(source_url) as source:
        async with source.reading():
            await places.check_target(target_url, source)
        async with source.held(), places.target_at(target_url, source, None) as target:
            return await move(source, target, **(given | options))
