"""The rows of a store of any size: for each table the columns, and as many rows as its size says.

They are always the same for a size. Ids are UUIDv7 in the order of their numbers. One user in two thousand is disabled,
two are admins, and the user with the number BUSY has a twentieth of all sessions and of the audit log.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

from server.audit.chain import START, AuditChain
from server.audit.model import AuditHead
from server.audit.rows import COLUMNS as AUDIT_COLUMNS
from server.mail.outbox_model import WrittenMail
from server.registration.model import Invitation
from server.sessions.model import MEMORY_MS
from server.users.model import Credentials, new_account
from server.users.rows import INSERTED, inserted_values

DAY_MS = 86_400_000
# Of the audit log; users and sessions are older.
DAYS = 30
BUSY = 1
NEEDLE = "Zuckmayer"
# Of those that are few in a large store as in a small one, so that as many are found.
FEW, RARE = 60, "Qyxwvut"
# Names are made of these, the first ones more often than the last ones, as names are.
SYLLABLES = [
    "an", "ma", "el", "ri", "jo", "lu", "so", "mi", "ka", "da", "ne", "vi", "ra", "to", "le", "sa", "be", "ni", "ha",
    "ti", "go", "pe", "ru", "fa", "ze", "wi", "xo", "qua", "yth", "zsu",
]  # fmt: skip
ENDINGS = ["a", "en", "son", "er", "ez", "ski", "sen", "y", "in", "o"]
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
REQUEST = "6c1f0a6f2b9be1d7aa-1c"
# Distinguish the ids of tables.
USER, SESSION, ENDED, DUE, OTHER = range(1, 6)

Rows = Iterator[tuple[Any, ...]]


def uuid7(at: int, kind: int, number: int) -> str:
    """As the server makes them, but the same each time."""
    scattered = (number * 0x9E3779B97F4A7C15 + kind * 0xD1B54A32D192ED03) % 2**64
    scattered ^= scattered >> 31
    scattered = scattered * 0xBF58476D1CE4E5B9 % 2**64
    text = f"{at:012x}7{kind:03x}8{scattered:016x}"[:32]
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True)
class Size:
    """`count` users and as many sessions, revocations and mails; ten times as many audit records."""

    count: int
    now: int

    @property
    def records(self) -> int:
        return self.count * 10

    @property
    def due(self) -> int:
        """So many sessions, and revocations, are over and not deleted yet."""
        return self.count // 10

    def user_id(self, number: int) -> str:
        """Made within the last two years."""
        return uuid7(self.now - 730 * DAY_MS + number * (700 * DAY_MS // self.count), USER, number)

    def session_id(self, number: int) -> str:
        """Of a living session."""
        return uuid7(self.now - 13 * DAY_MS + number * (12 * DAY_MS // self.count), SESSION, number)

    def ended_id(self, number: int) -> str:
        """Of a session that has ended within the last day."""
        return uuid7(self.now - 10 * DAY_MS + number * (9 * DAY_MS // self.count), ENDED, number)

    def due_id(self, number: int) -> str:
        """Of a session that has ended before."""
        return uuid7(self.now - 20 * DAY_MS + number * (9 * DAY_MS // self.count), DUE, number)

    def owner(self, number: int) -> int:
        """The number of the user of that session or record."""
        return BUSY if number % 20 == 0 else number * 7919 % self.count

    def username(self, number: int) -> str:
        """Found without the list of all."""
        return f"member{number}@example.com" if number % 10 == 3 else f"member{number}"


def users(size: Size) -> Iterator[Credentials]:
    """With names as common and as rare as names are."""
    source = random.Random(7)

    def word() -> str:
        parts = [SYLLABLES[min(int(source.expovariate(0.2)), len(SYLLABLES) - 1)] for _ in range(2)]
        return "".join(parts) + source.choice(ENDINGS)

    for number in range(size.count):
        first, last = word(), word()
        yield new_account(
            user_id=size.user_id(number),
            username=size.username(number),
            name=_name(size, number, f"{first.capitalize()} {last.capitalize()}"),
            role="admin" if number in {0, size.count // 2} else "customer",
            # Of no password; a login is refused by it after the whole work of a bcrypt hash of cost 4.
            password_hash="$2b$04$abcdefghijklmnopqrstuuS7xcbRoQaBMFhjj2vyJ4TgoyXWj1qIW",
            now=size.now - 730 * DAY_MS + number * (700 * DAY_MS // size.count),
            email=f"{last}{number}@example.org",
            email_verified=True,
        )


def _name(size: Size, number: int, usual: str) -> str:
    if number == size.count - 7:
        return f"Carl {NEEDLE}"
    return f"Anna {RARE}" if number % (size.count // FEW) == 5 else usual


def _users(size: Size) -> Rows:
    """As `inserted_values` makes them, which takes ten times as long for what is not plain ASCII."""
    for number, new in enumerate(users(size)):
        user = new.user
        names = user.username, f"{user.username}\n{user.email}\n{user.name}".lower()
        values = (
            user.id, user.username, user.name, user.role, None, user.created_at, user.updated_at, None, user.email,
            user.email_verified_at, *names, new.password_hash, new.password_changed_at,
        )  # fmt: skip
        assert number % 10_000 or values == inserted_values(new)
        yield values


def _sessions(size: Size) -> Rows:
    now, idle = size.now, 14 * DAY_MS
    for kind, count in ((size.due_id, size.due), (size.ended_id, size.count), (size.session_id, size.count)):
        for number in range(count):
            session_id = kind(number)
            made = int(session_id[:8] + session_id[9:13], 16)
            ended_at = None
            if kind == size.due_id:
                ended_at = now - DAY_MS - 1000 - number % 1000
            elif kind == size.ended_id:
                ended_at = now - number * (DAY_MS // size.count) - 1
            stepped = made if ended_at is None else min(made, ended_at)
            owner = size.user_id(size.owner(number))
            yield (
                session_id, owner, 0, made, stepped, stepped + idle, made + 90 * DAY_MS, ended_at, "192.0.2.1", AGENT,
                made, "pwd",
            )  # fmt: skip


def _revocations(size: Size) -> Rows:
    """In the order in which they were written."""
    for number in range(size.due):
        yield size.due_id(number), size.now - 1000 - number % 1000
    for number in reversed(range(size.count)):
        yield size.ended_id(number), size.now - number * (DAY_MS // size.count) - 1 + MEMORY_MS


def _emails(size: Size) -> Rows:
    for new in users(size):
        user = new.user
        yield user.id, user.id, user.email, user.email, user.email, user.email_verified_at, user.created_at


def _known_clients(size: Size) -> Rows:
    """Seen within 97 days; a tenth of the users has a second one."""
    for number in range(size.count):
        seen_at = size.now - number * (97 * DAY_MS // size.count)
        yield size.user_id(number), f"{number:064x}", seen_at
        if number % 10 == 0:
            yield size.user_id(number), f"{number + 1:064x}", seen_at - DAY_MS


def _guesses(size: Size) -> Rows:
    for number in range(size.count):
        yield (
            f"account:{number * 7919 % size.count:064x}",
            1,
            0,
            size.now - number * (89 * DAY_MS // size.count),
            0,
            0,
            0,
        )


def _mails(size: Size) -> Rows:
    """Of the last week: most were sent, one in fifteen was given up, one in fifteen waits."""
    for number in range(size.count):
        made = size.now - 7 * DAY_MS + number * (7 * DAY_MS // size.count)
        given_up, waiting = number % 15 == 5, number % 15 == 7
        state = "given_up" if given_up else "waiting" if waiting else "sent"
        kept = b"x" * 300 if given_up or waiting else b""
        mail = WrittenMail(
            id=uuid7(made, OTHER, number),
            kind="new-sign-in",
            recipient=f"member{number}@example.org",
            user_id=size.user_id(number),
            language="en",
            message_id=f"<{number}@example.com>",
            content=kept,
            state=state,
            attempts=int(not waiting),
            created_at=made,
            next_attempt_at=made,
            give_up_at=size.now + DAY_MS if waiting else made + DAY_MS,
        )
        values = list(astuple(mail))
        if not kept:
            # As it is once a mail was sent.
            values[6] = None
        yield (*values, None if waiting else made + 1000)


def _challenges(size: Size) -> Rows:
    """A tenth of the users has asked for a mail within the last day."""
    for number in range(0, size.count, 10):
        made = size.now - DAY_MS + number * (DAY_MS // size.count)
        digests = number.to_bytes(32, "big"), number.to_bytes(32, "little"), None
        address = f"member{number}@example.org"
        yield (
            uuid7(made, OTHER, number), "reset_password", size.user_id(number), address, address, *digests,
            1, made, made + DAY_MS // 48, None,
        )  # fmt: skip


def _invitations(size: Size) -> Rows:
    """Of the last month."""
    for number in range(size.count // 10):
        made = size.now - 29 * DAY_MS + number * (29 * DAY_MS * 10 // size.count)
        yield astuple(
            Invitation(uuid7(made, OTHER, number), "customer", None, 1, number % 2, None, made, made + 7 * DAY_MS)
        )


def audit_events(size: Size, key: bytes, note_head: Callable[[AuditHead], None]) -> Rows:
    """Thirty days of logins: a chain that `audit verify` accepts. It is made by text, since ten million are many."""
    chain, previous = AuditChain(key), START
    mac = chain_mac(key)
    from_at, step = size.now - DAYS * DAY_MS, DAYS * DAY_MS // size.records
    people = [(size.user_id(number), size.username(number)) for number in range(size.count)]
    for number in range(size.records):
        kind, (user_id, name) = number % 20, people[size.owner(number)]
        event = "login_succeeded" if kind < 16 else "login_failed" if kind < 19 else "user_changed"
        known = kind < 16
        at, after = from_at + number * step, f'{{"session_id":"{user_id}","user_agent":"{AGENT}"}}'
        actor = f'"{user_id}","{name}"' if known else "null,null"
        escaped = after.replace('"', '\\"')
        text = (
            f'["{previous}",{number + 1},{at},"{event}",{actor},"{user_id}","{name}","http","192.0.2.1","{REQUEST}",'
            f'null,"{escaped}"]'
        )
        linked = mac.copy()
        linked.update(text.encode())
        values = (
            number + 1, at, event, user_id if known else None, name if known else None, user_id, name, "http",
            "192.0.2.1", REQUEST, None, after,
        )  # fmt: skip
        digest = linked.hexdigest()
        assert number % 100_000 or digest == chain.link(previous, values)
        previous = digest
        yield (*values, previous)
    note_head(AuditHead(size.records, previous))


def chain_mac(key: bytes) -> hmac.HMAC:
    """What AuditChain begins each hash with."""
    return hmac.new(key, b"watchword audit log\0", hashlib.sha256)


# For each table its columns and rows, in the order of its references. The audit log needs the key of the store.
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Size], Rows]]] = {
    "users": (INSERTED, _users),
    "emails": (("id", "user_id", "email", "email_key", "name_key", "verified_at", "created_at"), _emails),
    "sessions": (
        (
            "id", "user_id", "step", "created_at", "stepped_at", "idle_expires_at", "expires_at", "ended_at", "ip",
            "user_agent", "authenticated_at", "amr",
        ),
        _sessions,
    ),
    "revocations": (("session_id", "forget_at"), _revocations),
    "known_clients": (("user_id", "client", "seen_at"), _known_clients),
    "guesses": (
        ("key", "failures", "retry_at", "touched_at", "period", "running", "running_before"), _guesses,
    ),
    "mails": (
        (
            "id", "kind", "recipient", "user_id", "language", "message_id", "content", "state", "attempts",
            "created_at", "next_attempt_at", "give_up_at", "ended_at",
        ),
        _mails,
    ),
    "challenges": (
        (
            "id", "purpose", "user_id", "email", "email_key", "token_digest", "code_digest", "browser_digest",
            "password_changed_at", "created_at", "expires_at", "used_at",
        ),
        _challenges,
    ),
    "invitations": (
        ("id", "role", "email", "uses", "used", "created_by", "created_at", "expires_at", "withdrawn_at"),
        _invitations,
    ),
}  # fmt: skip
AUDIT: tuple[str, ...] = tuple(AUDIT_COLUMNS)
