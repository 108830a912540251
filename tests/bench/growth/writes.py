"""What routes write into a store, and what the background does each minute when nothing is due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from server.audit.model import AuditEvent, AuditNote
from server.background import purge
from server.challenges.model import Purpose
from server.database.driver import Transaction
from server.emails.address import throttle_name
from server.mail.outbox_model import MailState
from server.mail.tidying import tidy_mails
from server.registration.service import NewAccount
from tests.bench.growth.rows import DAY_MS
from tests.bench.growth.side import CLIENT, Ask, Side

STEP = 1
HASH = "$2b$04$abcdefghijklmnopqrstuuS7xcbRoQaBMFhjj2vyJ4TgoyXWj1qIW"


async def log_in(side: Side, turn: int) -> object:
    """All but the hash."""
    name = side.size.username(side.fresh(0, turn))
    async with side.services.throttle.login_attempt(throttle_name(name), CLIENT.ip, None) as attempt:
        tokens = await side.log_in(side.fresh(0, turn))
        await attempt.succeeded()
    return tokens


async def fail_to_log_in(side: Side, turn: int) -> None:
    account = f"nobody{turn}@example.com"
    async with side.services.throttle.login_attempt(account, f"192.0.2.{turn}", None) as attempt:
        await side.services.repositories.users.find_credentials(account)
        await attempt.failed(AuditNote(AuditEvent.LOGIN_FAILED, side.services.clock.now_ms()))


async def refresh(side: Side, _: int) -> None:
    token = side.kept.get("refresh") or (await side.log_in(side.fresh(1, 0))).refresh_token
    side.kept["refresh"] = (await side.services.refresh_rotation.refresh(token, CLIENT.ip)).refresh_token


async def log_out(side: Side, turn: int) -> None:
    await side.services.sessions.log_out(side.size.session_id(side.fresh(2, turn)))


async def end_all_sessions(side: Side, turn: int) -> None:
    await side.services.sessions.end_all(side.size.user_id(side.fresh(3, turn)))


async def change_password(side: Side, turn: int) -> None:
    credentials = await side.credentials(side.fresh(4, turn))
    assert await side.services.user_passwords.set_hash(credentials, f"{HASH[:-2]}{turn:02d}")


async def change_role(side: Side, turn: int) -> None:
    await side.services.users.update(side.size.user_id(side.fresh(5, turn)), role="admin", recent=True)


async def change_name(side: Side, turn: int) -> None:
    await side.services.users.update(side.size.user_id(side.fresh(6, turn)), name=f"Another {turn}")


async def change_username(side: Side, turn: int) -> None:
    await side.services.users.rename(side.size.user_id(side.fresh(6, turn)), f"renamed{turn}")


async def disable(side: Side, turn: int) -> None:
    await side.services.users.update(side.size.user_id(side.fresh(7, turn)), disabled=True)


async def delete(side: Side, turn: int) -> None:
    await side.services.users.delete(side.size.user_id(side.fresh(8, turn)))


async def create(side: Side, turn: int) -> None:
    await side.services.users.create(f"new{turn}", "New", "customer", None, f"new{turn}@example.net")


async def sign_up(side: Side, turn: int) -> None:
    """With its hash, of the lowest cost."""
    wanted = NewAccount(f"signed.up{turn}", "New", "brown otters juggle turnips", f"up{turn}@example.net", None)
    await side.services.registration.sign_up(wanted, f"198.51.100.{turn}")


async def add_address(side: Side, turn: int) -> None:
    user_id, address = side.size.user_id(side.fresh(9, turn)), f"203.0.113.{turn}"
    await side.services.confirmations.add(user_id, f"added{turn}@example.net", None, address)


async def forgot_password(side: Side, turn: int) -> None:
    """The request, and its answer in the background."""
    name = side.size.username(side.fresh(10, turn))
    await side.services.recovery.requests.forgotten_password(name, f"198.51.101.{turn}", "browser")
    await side.services.recovery.resolve()


async def look_at_challenge(side: Side, turn: int) -> object:
    address = f"member{side.number(turn) // 10 * 10}@example.org"

    async def unit(transaction: Transaction) -> object:
        return await side.services.repositories.challenges.find(
            transaction, Purpose.RESET_PASSWORD, "email_key", address, side.size.now
        )

    return await side.services.repositories.driver.write(unit)


async def invite(side: Side, turn: int) -> None:
    invited = f"invited{turn}@example.net"
    await side.services.invitations.invite(role=None, email=invited, life_seconds=3600, uses=1, created_by=None)


async def reset_token(side: Side, turn: int) -> None:
    await side.services.user_passwords.request_reset(side.size.user_id(side.fresh(11, turn)))


async def retry_mail(side: Side, _: int) -> None:
    mails = await side.services.mails.list(MailState.WAITING, 1, None)
    await side.services.mails.retry(mails[0].id)


async def tidy(side: Side, _: int) -> None:
    """The round of each minute, with nothing to delete."""
    services = side.services
    await services.sessions.repair_future_times()
    await purge(services.repositories, services.clock)
    await tidy_mails(services.repositories, services.clock.now_ms(), lambda _: None)


def step(delete: Callable[[Side], Awaitable[int]]) -> Ask:
    """One transaction of a purge, which deletes a few rows."""

    async def ask(side: Side, _: int) -> None:
        assert await delete(side) == STEP

    return ask


QUESTIONS: dict[str, Ask] = {
    "POST /login, but for the hash": log_in,
    "POST /login that fails, but for the hash": fail_to_log_in,
    "POST /refresh": refresh,
    "POST /logout": log_out,
    "DELETE /users/{id}/sessions": end_all_sessions,
    "POST /me/password, but for the hashes": change_password,
    "PATCH /users/{id}: role": change_role,
    "PATCH /users/{id}: name": change_name,
    "PATCH /users/{id}: username": change_username,
    "PATCH /users/{id}: disabled": disable,
    "DELETE /users/{id}": delete,
    "POST /users": create,
    "POST /sign-up, with its hash": sign_up,
    "POST /me/emails": add_address,
    "POST /password/forgot, and its answer": forgot_password,
    "a mailed code": look_at_challenge,
    "POST /invitations": invite,
    "POST /users/{id}/password-reset": reset_token,
    "POST /mails/{id}/retry": retry_mail,
    "purge: a step of sessions": step(
        lambda side: side.services.repositories.sessions.purge(side.size.now - DAY_MS, STEP)
    ),
    "purge: a step of revocations": step(
        lambda side: side.services.repositories.sessions.purge_revocations(side.size.now, STEP)
    ),
    "purge: a step of counted failures": step(
        lambda side: side.services.repositories.attempts.purge(side.size.now - 60 * DAY_MS, STEP)
    ),
    "purge: a step of challenges": step(
        lambda side: side.services.repositories.challenges.purge(side.size.now - DAY_MS // 2, STEP)
    ),
    "purge: a step of invitations": step(
        lambda side: side.services.repositories.invitations.purge(side.size.now - 8 * DAY_MS, STEP)
    ),
    "purge: a step of mails": step(
        lambda side: side.services.repositories.mails.purge(MailState.SENT, side.size.now - 5 * DAY_MS, STEP)
    ),
}
AFTERWARDS: dict[str, Ask] = {"the round of each minute, with nothing to delete": tidy}
