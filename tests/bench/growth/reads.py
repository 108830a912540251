"""What routes and commands read of a store: one question for each way in which they do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server.audit.model import AuditEvent
from server.database.driver import Transaction
from server.emails.address import throttle_name
from server.mail.outbox_model import MailState
from server.statistics.service import Statistics
from server.users.model import UserFilter
from tests.bench.growth.rows import BUSY, DAY_MS, NEEDLE, RARE
from tests.bench.growth.side import Ask, Side

PAGE = 51


def users(place: str = "first", **wanted: Any) -> Ask:
    """GET /users, at a page: the first one, that in the middle, or the last one."""

    async def ask(side: Side, _: int) -> object:
        count = side.size.count
        after = {"first": None, "middle": count // 2, "last": count - PAGE}[place]
        after_id = None if after is None else side.size.user_id(after)
        return await side.services.users.list(replace(UserFilter(limit=PAGE, after_id=after_id), **wanted))

    return ask


def audit(place: str = "first", **wanted: Any) -> Ask:
    """GET /audit; times are days before the newest record."""

    async def ask(side: Side, _: int) -> object:
        size = side.size
        before = {"first": None, "middle": size.records // 2, "last": PAGE}[place]
        times = {name: size.now - int(days * DAY_MS) for name in ("from_at", "to_at") if (days := wanted.get(name))}
        people = {name: size.username(BUSY) for name in ("actor", "target", "user") if wanted.get(name)}
        found = await side.services.audit.page(limit=PAGE, before_seq=before, **(wanted | times | people))
        assert found, wanted
        return found

    return ask


async def verify_role(side: Side, turn: int) -> object:
    return await side.services.users.get(side.user(turn))


async def by_name(side: Side, turn: int) -> object:
    found = await side.services.repositories.users.find_credentials(side.size.username(side.number(turn)))
    assert found is not None
    return found


async def by_address(side: Side, turn: int) -> object:
    user = await side.services.users.get(side.user(turn))
    found = await side.services.repositories.users.find_credentials(user.email or "")
    assert found is not None
    return found


async def unknown_name(side: Side, turn: int) -> object:
    assert await side.services.repositories.users.find_credentials(f"nobody{turn}@example.com") is None
    return None


async def users_show(side: Side, turn: int) -> object:
    services, user_id = side.services, side.user(turn)
    found = await services.users.find(user_id)
    return [
        await services.sessions.list(user_id, 1, None),
        await services.throttle.standing(throttle_name(found.user.username)),
        await services.emails.list(user_id),
        await services.sessions.count(user_id),
    ]


async def sessions(side: Side, turn: int) -> object:
    return await side.services.sessions.list(side.user(turn), PAGE, None)


async def sessions_of_busy(side: Side, _: int) -> object:
    found = await side.services.sessions.list(side.size.user_id(BUSY), PAGE, None)
    assert len(found) >= PAGE - 1
    return found


async def sessions_of_busy_middle(side: Side, _: int) -> object:
    middle = side.size.session_id(side.size.count // 2)
    return await side.services.sessions.list(side.size.user_id(BUSY), PAGE, middle)


async def recent(side: Side, turn: int) -> object:
    return await side.services.sessions.authenticated_at(side.size.session_id(side.number(turn)))


async def ended_session(side: Side, turn: int) -> object:
    return await side.services.repositories.sessions.get_session(side.size.ended_id(side.number(turn)))


async def emails(side: Side, turn: int) -> object:
    return await side.services.emails.list(side.user(turn))


def mails(state: MailState | None, *, middle: bool = False) -> Ask:
    async def ask(side: Side, _: int) -> object:
        before_id = None
        if middle:
            before_id = side.size.session_id(0)
        return await side.services.mails.list(state, PAGE, before_id)

    return ask


async def invitations(side: Side, _: int) -> object:
    return await side.services.invitations.list(PAGE, None)


async def sign_ins(side: Side, turn: int) -> object:
    return await side.services.audit.sign_ins(side.user(turn), PAGE, None)


async def sign_ins_of_busy(side: Side, _: int) -> object:
    return await side.services.audit.sign_ins(side.size.user_id(BUSY), PAGE, None)


async def audit_since(side: Side, _: int) -> object:
    """`audit list --since 1d`, and where `audit export --since 1d` begins."""
    return await side.services.audit.first_since(side.size.now - DAY_MS)


async def ready(side: Side, _: int) -> None:
    await side.services.repositories.readiness.ping()


async def revocations(side: Side, _: int) -> None:
    """What a server asks several times a second."""
    await side.services.revocations.refresh()


async def keys(side: Side, _: int) -> object:
    return await side.services.repositories.keys.list_keys()


async def due_mails(side: Side, _: int) -> object:
    return await side.services.repositories.mail_claims.due(side.size.now)


async def learned_hashes(side: Side, _: int) -> object:
    """At a start."""
    return await side.services.repositories.users.list_credentials(100)


async def has_admin(side: Side, _: int) -> None:
    """At a start."""
    assert await side.services.users.has_admin()


async def last_admin(side: Side, _: int) -> object:
    """When an admin is changed: whether there is another one."""

    async def unit(transaction: Transaction) -> bool:
        return await side.services.repositories.users.has_other(transaction, side.size.user_id(0), ["admin"])

    return await side.services.repositories.driver.write(unit)


QUESTIONS: dict[str, Ask] = {
    "log in: by name": by_name,
    "log in: by address": by_address,
    "log in: nobody has the name": unknown_name,
    "GET /me, GET /users/{id}": verify_role,
    "GET /users": users(),
    "GET /users, in the middle": users("middle"),
    "GET /users, the end": users("last"),
    "GET /users?role=customer": users(role="customer"),
    "GET /users?role=admin (two)": users(role="admin"),
    "GET /users?disabled=true": users(disabled=True),
    "GET /users?disabled=false, in the middle": users("middle", disabled=False),
    "GET /users?q=a (nearly all)": users(text="a"),
    "GET /users?q=an (many), in the middle": users("middle", text="an"),
    "GET /users?q=example.com": users(text="example.com"),
    "GET /users?q=manson (some)": users(text="manson"),
    f"GET /users?q={RARE} (sixty)": users(text=RARE),
    f"GET /users?q={NEEDLE} (one)": users(text=NEEDLE),
    "GET /users?q=nobody here": users(text="nobody here"),
    "GET /users?q=ж (nobody)": users(text="ж"),
    "GET /users?q=an&role=admin": users(text="an", role="admin"),
    f"GET /users?q={RARE}&role=customer": users(text=RARE, role="customer"),
    "GET /me/sessions": sessions,
    "GET /users/{id}/sessions, of who has a twentieth": sessions_of_busy,
    "GET /users/{id}/sessions, of the same, in the middle": sessions_of_busy_middle,
    "a recent sign-in": recent,
    "a session that has ended": ended_session,
    "GET /me/emails": emails,
    "GET /mails": mails(None),
    "GET /mails?state=sent, in the middle": mails(MailState.SENT, middle=True),
    "GET /mails?state=given_up": mails(MailState.GIVEN_UP),
    "GET /mails?state=waiting": mails(MailState.WAITING),
    "GET /invitations": invitations,
    "GET /me/sign-ins": sign_ins,
    "GET /me/sign-ins, of who has a twentieth": sign_ins_of_busy,
    "GET /audit": audit(),
    "GET /audit, in the middle": audit("middle"),
    "GET /audit, the end": audit("last"),
    "GET /audit?event=login_failed": audit(event=AuditEvent.LOGIN_FAILED.value),
    "GET /audit?event=user_changed, in the middle": audit("middle", event=AuditEvent.USER_CHANGED.value),
    "GET /audit?actor, who has a twentieth": audit(actor=True),
    "GET /audit?target, of the same": audit(target=True),
    "GET /audit?user, of the same": audit(user=True),
    "GET /audit?user&event=login_succeeded": audit(user=True, event=AuditEvent.LOGIN_SUCCEEDED.value),
    "GET /audit?from=a day ago": audit(from_at=1),
    "GET /audit?from&to, a day, three weeks ago": audit(from_at=22, to_at=21),
    "GET /audit?to=three weeks ago": audit(to_at=21),
    "GET /audit?from=three weeks ago": audit(from_at=21),
    "GET /audit?event=login_failed, two days of it": audit(event=AuditEvent.LOGIN_FAILED.value, from_at=23, to_at=21),
    "GET /audit?user, ten days of it": audit(user=True, from_at=25, to_at=15),
    "audit list --since 1d: where it begins": audit_since,
    "users show": users_show,
    "keys list": keys,
    "GET /health/ready": ready,
    "revocations of others": revocations,
    "mails that are due": due_mails,
    "at a start: an admin": has_admin,
    "at a start: kinds of hashes": learned_hashes,
    "another admin": last_admin,
}


async def stats(side: Side, _: int) -> object:
    """As a process counts that remembers nothing."""
    store = side.services.repositories
    parts = {"users": store.users, "sessions": store.sessions, "audit": store.audit}
    return await Statistics(**parts, clock=side.services.clock, roles=()).figures()  # type: ignore[arg-type]


async def living(side: Side, _: int) -> object:
    return await side.services.repositories.sessions.count_living(side.size.now)


async def waiting(side: Side, _: int) -> object:
    return await side.services.repositories.mails.count_waiting()


async def unsent(side: Side, _: int) -> object:
    return await side.services.repositories.mails.unsent()


# By nature as long as what they count.
COUNTS: dict[str, Ask] = {
    "GET /stats, counted": stats,
    "metrics: live sessions": living,
    "metrics: mails that wait": waiting,
    "doctor: mails that are not sent": unsent,
}
