"""Who may call what, written out: the matrix of test_access_matrix.py succeeds in these cells and in no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from server.challenges.model import Purpose
from server.database.driver import Transaction
from server.mail.model import MailKind, NewMail
from server.settings.mail import MailSettings
from server.settings.tree import LimitSettings, RegistrationSettings, RoleSettings, default_roles
from tests.mail.outboxes import put
from tests.running import PASSWORD, Api

NEW_PASSWORD = "another horse, another battery"
# `GET /users` is taken from the admins, and what was for them alone is given to customers and who includes these.
SETTINGS: dict[str, Any] = {
    "roles": default_roles() | {"support": RoleSettings(includes=("customer",))},
    "access": {"GET /users": ("support",), "GET /routes": ("customer",)},
    "registration": RegistrationSettings(mode="open"),
    # Nobody listens there. Each cell may ask for a mail.
    "mail": MailSettings(url="smtp://127.0.0.1:9", sign_in_codes=True, **{"from": "auth@mail.example"}),
    "limits": LimitSettings(address_mails_per_hour=1_000_000, all_mails_per_hour=3_600_000),
}

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# By the token that they send or what has become of them, with the refusal where the table does not list them. Whoever
# has no role for a name is or was an admin: it is the token alone that is refused.
CALLERS = {
    "without a token": (401, "token_missing"),
    "altered token": (401, "token_invalid"),
    "expired token": (401, "token_expired"),
    "refresh token": (401, "token_invalid"),
    "reset token": (401, "token_invalid"),
    "device cookie": (401, "token_invalid"),
    "customer": (403, "insufficient_role"),
    "support": (403, "insufficient_role"),
    "admin": (403, "insufficient_role"),
    "disabled": (401, "token_revoked"),
    "logged out": (401, "token_revoked"),
    "deleted": (401, "token_revoked"),
    "demoted": (401, "token_revoked"),
    "customer, signed in long ago": (403, "insufficient_role"),
    "support, signed in long ago": (403, "insufficient_role"),
    "admin, signed in long ago": (403, "insufficient_role"),
}
# Their roles and tokens are as good as the others', except where a recent sign-in is asked for.
LONG_AGO = frozenset(name for name in CALLERS if "," in name)
OBJECTS = ("own", "other", "unknown")

ANYONE = frozenset(CALLERS)
ADMIN = frozenset(name for name in CALLERS if name.startswith("admin"))
SUPPORT = frozenset(name for name in CALLERS if name.startswith("support"))
USERS = ADMIN | SUPPORT | frozenset(name for name in CALLERS if name.startswith("customer"))


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a session, and all that one gets for it."""

    id: str
    username: str
    session_id: str
    email_id: str
    token: str
    refresh_token: str
    device_cookie: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request. `person` is whose `own` objects are; `living`: their session goes on."""

    person: Person
    token: str | None
    living: bool


# The body that makes a request good, made of the caller and of somebody else.
Body = Callable[[Api, Caller, Person], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Listed:
    """The cells of a route that succeed: these callers with these objects. `status` is that of success.

    With the objects in `recent`, nobody succeeds who has signed in long ago.
    """

    who: frozenset[str]
    status: int = 200
    body: Body | None = None
    query: str = ""
    objects: tuple[str, ...] = ("",)
    recent: tuple[str, ...] = ()


async def _log_in(_api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    return {"username": other.username, "password": PASSWORD}


async def _refresh(_api: Api, caller: Caller, other: Person) -> dict[str, Any]:
    """A bearer token that is good for something must be of the same session."""
    return {"refresh_token": (caller.person if caller.living else other).refresh_token}


async def _rename(_api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    return {"name": "New"}


async def _change_password(_api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    return {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


async def _reset_password(api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    return {"reset_token": await api.services.user_passwords.request_reset(other.id), "new_password": NEW_PASSWORD}


async def _ask_for_mail(_api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    return {"identifier": other.username}


async def _mailed_code(api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    credentials = await api.services.users.credentials_of(other.username)
    email = f"{other.username}@example.com"
    if credentials.user.email is None:
        await api.services.users.update(other.id, email=email)
    new = api.services.challenges.make(
        Purpose.SIGN_IN, user_id=other.id, email=email, password_changed_at=credentials.password_changed_at
    )

    async def unit(transaction: Transaction) -> None:
        await api.services.challenges.insert(transaction, new)

    await api.services.repositories.driver.write(unit)
    return {"challenge": new.challenge.id, "code": new.code}


async def _reauthenticate(_api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    return {"password": PASSWORD}


async def _create(_api: Api, caller: Caller, _other: Person) -> dict[str, Any]:
    return {"username": f"made-by-{caller.person.username}", "name": "New", "role": "admin"}


async def _update(_api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    return {"name": "New", "role": "support", "disabled": True}


async def invitation_by(api: Api, user_id: str) -> tuple[str, str]:
    """The id of an invitation that this user has made, and its token."""
    made = await api.services.invitations.invite(role=None, email=None, life_seconds=60, uses=1, created_by=user_id)
    return made.invitation.id, made.token


async def waiting_mail(api: Api) -> str:
    """The id of a mail that waits."""
    repositories = api.services.repositories
    await put(repositories, api.services.outbox, NewMail(MailKind.TEST, "lak@example.com", {}))
    return (await repositories.mails.list_mails(None, 1, "g"))[0].id


async def _sign_up(_api: Api, caller: Caller, _other: Person) -> dict[str, Any]:
    username = f"signed-up-{caller.person.username}"
    return {"username": username, "name": "New", "password": PASSWORD, "email": f"{username}@example.com"}


async def _add_email(_api: Api, caller: Caller, _other: Person) -> dict[str, Any]:
    return {"email": f"another-of-{caller.person.username}@example.com"}


async def _unverified(api: Api, caller: Caller, _other: Person) -> dict[str, Any]:
    """No body; the address of the caller is one that can be confirmed."""
    driver = api.services.repositories.driver
    await driver.write_one("UPDATE emails SET verified_at = NULL WHERE id = $1", caller.person.email_id)
    return {}


async def _confirm_email(api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    services, email = api.services, f"confirmed-by-{other.username}@example.com"
    new = services.challenges.make(Purpose.CONFIRM_EMAIL, user_id=other.id, email=email)

    async def unit(transaction: Transaction) -> None:
        await services.challenges.insert(transaction, new)
        await services.repositories.emails.put(transaction, other.id, email, None, services.clock.now_ms())

    await services.repositories.driver.write(unit)
    return {"token": new.token, "code": new.code}


async def _invite(_api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    return {"role": "admin"}


async def _check_invitation(api: Api, _caller: Caller, _other: Person) -> dict[str, Any]:
    inviter = (await api.services.users.credentials_of("sahan")).user
    return {"invitation_token": (await invitation_by(api, inviter.id))[1]}


async def _inspect(_api: Api, _caller: Caller, other: Person) -> dict[str, Any]:
    return {"token": other.token}


OWN = ("own",)
THERE = ("own", "other")

TABLE = {
    "POST /login": Listed(ANYONE, body=_log_in),
    "POST /login/code": Listed(ANYONE, 202, _ask_for_mail),
    "POST /login/code/confirm": Listed(ANYONE, body=_mailed_code),
    "POST /refresh": Listed(ANYONE, body=_refresh),
    # By the bearer token alone; its session is theirs to end, though its role is out of date.
    "POST /logout": Listed(USERS | {"demoted"}, 204),
    "POST /reauthenticate": Listed(USERS, body=_reauthenticate),
    "GET /me": Listed(USERS),
    "PATCH /me": Listed(USERS, body=_rename),
    "POST /me/password": Listed(USERS, 204, _change_password, recent=("",)),
    "GET /me/sessions": Listed(USERS),
    "DELETE /me/sessions": Listed(USERS, 204),
    "DELETE /me/sessions/{session_id}": Listed(USERS, 204, objects=OWN),
    "GET /me/emails": Listed(USERS),
    "POST /me/emails": Listed(USERS, 202, _add_email, recent=("",)),
    "POST /me/emails/{email_id}/send": Listed(USERS, 202, _unverified, objects=OWN),
    "POST /email/confirm": Listed(ANYONE, 204, _confirm_email),
    "DELETE /me/emails/{email_id}": Listed(USERS, 204, objects=OWN, recent=OBJECTS),
    "POST /me/emails/{email_id}/primary": Listed(USERS, 204, objects=OWN, recent=OBJECTS),
    "POST /password/forgot": Listed(ANYONE, 202, _ask_for_mail),
    "POST /password/reset": Listed(ANYONE, 204, _reset_password),
    "GET /users": Listed(SUPPORT),
    "POST /users": Listed(ADMIN, 201, _create, recent=("",)),
    "GET /users/{user_id}": Listed(ADMIN, objects=THERE),
    # An admin's own role is changed from admin, the other's from customer.
    "PATCH /users/{user_id}": Listed(ADMIN, body=_update, objects=THERE, recent=OWN),
    "DELETE /users/{user_id}": Listed(ADMIN, 204, objects=THERE, recent=OBJECTS),
    "GET /users/{user_id}/sessions": Listed(ADMIN, objects=THERE),
    "DELETE /users/{user_id}/sessions": Listed(ADMIN, 204, objects=THERE),
    "POST /users/{user_id}/password-reset": Listed(ADMIN, objects=THERE, recent=OBJECTS),
    "GET /me/sign-ins": Listed(USERS),
    "POST /sign-up": Listed(ANYONE, 201, _sign_up),
    "POST /invitations/check": Listed(ANYONE, body=_check_invitation),
    "POST /invitations": Listed(ADMIN, 201, _invite, recent=("",)),
    "GET /invitations": Listed(ADMIN),
    "DELETE /invitations/{invitation_id}": Listed(ADMIN, 204, objects=THERE),
    "GET /mails": Listed(ADMIN),
    "POST /mails/{mail_id}/retry": Listed(ADMIN, 204, objects=THERE),
    "GET /audit": Listed(ADMIN),
    "GET /stats": Listed(ADMIN),
    "GET /keys": Listed(ADMIN),
    "POST /keys/rotate": Listed(ADMIN, 204, recent=("",)),
    "POST /keys/{kid}/revoke": Listed(ADMIN, 204, objects=THERE, recent=OBJECTS),
    "GET /routes": Listed(USERS),
    "GET /settings": Listed(ADMIN),
    "GET /explain": Listed(ADMIN, query="method=GET&path=/me"),
    "GET /verify": Listed(USERS, 204),
    "GET /inspect": Listed(ANYONE),
    "POST /inspect": Listed(ANYONE, body=_inspect),
    "GET /.well-known/jwks.json": Listed(ANYONE),
    "GET /openapi.json": Listed(ANYONE),
    "GET /docs": Listed(ANYONE),
    "GET /assets/{version}/{file}": Listed(ANYONE, objects=THERE),
    "GET /favicon.ico": Listed(ANYONE),
    "GET /": Listed(ANYONE, 303),
    "GET /console": Listed(ANYONE),
    "GET /sign-in": Listed(ANYONE),
    "GET /sign-up": Listed(ANYONE),
    "GET /invitation": Listed(ANYONE),
    "GET /reset-password": Listed(ANYONE),
    "GET /confirm-email": Listed(ANYONE),
    "GET /account": Listed(ANYONE),
    "GET /pages/settings": Listed(ANYONE),
    "GET /health/live": Listed(ANYONE),
    "GET /health/ready": Listed(ANYONE),
}
