"""`users list` and `users show`: what there is about accounts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import typer

from server.authentication.model import Standing
from server.cli.command_line import Config
from server.cli.context import AsJson, print_json, run_with_services, settings_for
from server.cli.tables import Rows, visible
from server.core.clock import rfc3339
from server.emails.address import throttle_name
from server.emails.schemas import email_json
from server.passwords.foreign import description
from server.services import Services
from server.sessions.model import Session
from server.sessions.schemas import session_json
from server.users.model import Credentials, User
from server.users.schemas import user_json

PAGE = 200


def list_users(context: typer.Context, as_json: AsJson = False, config: Config = None) -> None:
    """Print all users, the oldest first.

    Who has no password needs a reset token: users reset-password.

    Example: users list --json
    """
    run_with_services(settings_for(context, config), _print_json if as_json else _print_rows)


async def _print_rows(services: Services) -> None:
    rows = Rows("username", "name", "email", "role", "disabled", "password", "id")
    async for page in _pages(services):
        rows.add(
            (
                each.user.username,
                each.user.name,
                _address(each.user),
                each.user.role,
                "yes" if each.user.disabled else "",
                "" if each.password_hash else "none",
                each.user.id,
            )
            for each in page
        )
    # The names, if there is nobody.
    rows.add(())


async def _print_json(services: Services) -> None:
    """As print_json would, a page at a time."""
    before = '{\n  "users": ['
    async for page in _pages(services):
        for each in page:
            user = {**user_json(each.user), "has_password": each.password_hash is not None}
            typer.echo(before + "\n    " + json.dumps(user, indent=2).replace("\n", "\n    "), nl=False)
            before = ","
    typer.echo(f"{before}]\n}}" if before != "," else "\n  ]\n}")


async def _pages(services: Services) -> AsyncIterator[list[Credentials]]:
    after_id = ""
    while page := await services.repositories.users.list_credentials(PAGE, after_id):
        yield page
        after_id = page[-1].user.id


def show(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's name, address or id.", show_default=False)],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print all about a user and the sessions.

    It also says how many wrong passwords are counted, and when more are looked at.

    Example: users show lak
    """
    found = run_with_services(settings_for(context, config), lambda services: _about(services, user))
    if as_json:
        print_json(found)
        return
    lines = _lines(found)
    width = max(map(len, lines)) + 2
    for name, value in lines.items():
        typer.echo(f"{name:{width}}{visible(value)}")


async def _about(services: Services, id_or_name: str) -> dict[str, Any]:
    credentials = await services.users.find(id_or_name)
    user, password_hash = credentials.user, credentials.password_hash
    newest = await services.sessions.list(user.id, 1, None)
    password = None
    if password_hash is not None:
        password = {"hash": description(password_hash), "changed_at": rfc3339(credentials.password_changed_at)}
    standing = await services.throttle.standing(throttle_name(user.username))
    now = services.clock.now_ms()
    return {
        "user": {**user_json(user), "disabled_at": None if user.disabled_at is None else rfc3339(user.disabled_at)},
        "emails": [email_json(email) for email in await services.emails.list(user.id)],
        "password": password,
        "sessions": {
            "count": await services.sessions.count(user.id),
            "newest": _session(newest[0]) if newest else None,
        },
        "wrong_passwords": [_counted(one, now) for one in standing],
    }


def _address(user: User) -> str:
    if user.email is None:
        return ""
    return user.email if user.email_verified_at is not None else f"{user.email} (not verified)"


def _session(session: Session) -> dict[str, Any]:
    # None of them is that of the operator.
    return {name: value for name, value in session_json(session, None).items() if name != "current"}


def _counted(standing: Standing, now: int) -> dict[str, Any]:
    locked = standing.failures >= standing.limit
    waits = not locked and standing.retry_at > now
    return {
        "by": standing.by,
        "count": standing.failures,
        "limit": standing.limit,
        "locked": locked,
        "retry_at": rfc3339(standing.retry_at) if waits else None,
    }


def _lines(found: Mapping[str, Any]) -> dict[str, str]:
    user, password, sessions = found["user"], found["password"], found["sessions"]
    newest = sessions["newest"]
    lines = {
        "username": user["username"],
        "name": user["name"],
        "id": user["id"],
        "role": user["role"],
        "state": f"disabled since {user['disabled_at']}" if user["disabled"] else "enabled",
        "created": user["created_at"],
        "changed": user["updated_at"],
        "last login": user["last_login_at"] or "never",
        "password": f"{password['hash']}, set {password['changed_at']}" if password else "none: users reset-password",
        "sessions": str(sessions["count"]),
    }
    for number, email in enumerate(found["emails"], 1):
        told = ["primary"] * email["primary"] + ([] if email["verified"] else ["not verified"])
        lines[f"email {number}"] = f"{email['email']} ({', '.join(told)})" if told else email["email"]
    if newest is not None:
        lines["newest session"] = f"{newest['created_at']} from {newest['ip']}, used {newest['last_used_at']}"
        lines["user agent"] = newest["user_agent"] or ""
    for one in found["wrong_passwords"]:
        state = "locked until a new password: users set-password, users reset-password" if one["locked"] else ""
        state = state or (f"the next one is looked at from {one['retry_at']} on" if one["retry_at"] else "")
        lines[f"wrong, {one['by']}"] = f"{one['count']} of {one['limit']}" + (f"; {state}" if state else "")
    return lines
