"""Every path, method, kind of caller and kind of object, each with each: only what is listed succeeds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from server.routes import ROUTES
from server.sessions.cookies import DEVICE_COOKIE
from server.sessions.model import PAGE, RECENT_SECONDS
from server.users.model import UserFilter
from tests.running import PASSWORD, Api, StartApi
from tests.security.access_table import (
    CALLERS,
    LONG_AGO,
    METHODS,
    OBJECTS,
    SETTINGS,
    TABLE,
    USERS,
    Caller,
    Listed,
    Person,
    invitation_by,
    waiting_mail,
)
from tests.sessions.refreshing import refresh

UNKNOWN = "01990000-0000-7000-8000-000000000009"
# The others say that the token is invalid.
CHALLENGES = {
    "token_missing": "Bearer",
    "reauthentication_required": 'Bearer error="insufficient_user_authentication", max_age=600',
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One request. `target` is empty where the path names no object."""

    method: str
    path: str
    caller: str
    target: str

    @property
    def listed(self) -> Listed | None:
        """The row of the table; HEAD is GET without the content (RFC 9110 section 9.3.2)."""
        name = f"{'GET' if self.method == 'HEAD' else self.method} {self.path}"
        return TABLE.get(ALSO.get(name, name))

    @property
    def expected(self) -> tuple[int, str]:
        """Status and code of the answer; no code for a success."""
        row = self.listed
        if row is None:
            return 405, "method_not_allowed"
        if self.caller not in row.who:
            return CALLERS[self.caller]
        if self.caller in LONG_AGO and self.target in row.recent:
            return 401, "reauthentication_required"
        return (row.status, "") if self.target in row.objects else (404, "not_found")

    @property
    def spends(self) -> bool:
        """Whether it changes something when it succeeds."""
        return self.method not in {"GET", "HEAD"} and self.expected[1] == ""


# Paths that fit the template of another route, where they name no object.
ALSO = {"DELETE /invitations/check": "DELETE /invitations/{invitation_id}"}
PATHS = sorted({route.path for route in ROUTES})
CELLS = [
    Cell(method, path, caller, target)
    for path in PATHS
    for method, caller in itertools.product(METHODS, CALLERS)
    for target in (OBJECTS if "{" in path else ("",))
]


class Scene:
    """Makes users and callers on a running server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._numbers = itertools.count(1)

    async def person(self, role: str) -> Person:
        """A new user, logged in."""
        username = f"person{next(self._numbers)}"
        email = f"{username}@example.com"
        user = (await self._api.services.users.create(username, username, role, PASSWORD, email)).user
        credentials = {"username": username, "password": PASSWORD}
        response = await self._api.request("POST", "/login", json=credentials)
        answer = await response.json()
        (session,) = await self._api.services.sessions.list(user.id, PAGE, None)
        (address,) = await self._api.services.emails.list(user.id)
        mark = response.cookies[DEVICE_COOKIE].value
        assert (await self._api.request("GET", "/me", answer["token"])).status == 200
        return Person(user.id, username, session.id, address.id, answer["token"], answer["refresh_token"], mark)

    async def caller(self, name: str) -> Caller:
        """A new caller of that kind."""
        if name in LONG_AGO:
            return await self._signed_in_long_ago(name.partition(",")[0])
        person = await self.person(name if name in USERS else "admin")
        sent = await self._sent_by(name, person)
        await self._befall(name, person)
        return Caller(person, sent, living=name in USERS | {"demoted"})

    async def _signed_in_long_ago(self, role: str) -> Caller:
        """Whose session has a fresh token, which was refreshed since."""
        clock = self._api.clock
        clock.set_wall(-RECENT_SECONDS - 1)
        person = await self.person(role)
        clock.set_wall(RECENT_SECONDS + 1)
        answer = await refresh(self._api, person.refresh_token)
        person = replace(person, token=answer["token"], refresh_token=answer["refresh_token"])
        return Caller(person, person.token, living=True)

    async def _sent_by(self, name: str, person: Person) -> str | None:
        match name:
            case "without a token":
                return None
            case "altered token":
                return f"{person.token[:-12]}{'A' * 12}"
            case "refresh token":
                return person.refresh_token
            case "reset token":
                return await self._api.services.user_passwords.request_reset(person.id)
            case "device cookie":
                return person.device_cookie
        return person.token

    async def _befall(self, name: str, person: Person) -> None:
        """What a token that was good comes to grief by."""
        match name:
            case "expired token":
                self._api.clock.advance(self._api.services.settings.tokens.access_ttl_seconds)
            case "disabled":
                await self._as_admin("PATCH", person, disabled=True)
            case "demoted":
                await self._as_admin("PATCH", person, role="customer")
            case "deleted":
                await self._as_admin("DELETE", person)
            case "logged out":
                assert (await self._api.request("POST", "/logout", person.token)).status == 204

    async def _as_admin(self, method: str, person: Person, **change: object) -> None:
        token = await self._api.token("sahan")
        assert (await self._api.request(method, f"/users/{person.id}", token, json=change or None)).ok


async def answer_of(api: Api, cell: Cell, caller: Caller, other: Person) -> tuple[int, str]:
    """Status and code. A refusal has the form that all have; one of a HEAD has no content to look at."""
    row = cell.listed
    body = await row.body(api, caller, other) if row is not None and row.body is not None else None
    whose = {"own": caller.person, "other": other}.get(cell.target)
    ids = {
        "user_id": UNKNOWN if whose is None else whose.id,
        "session_id": UNKNOWN if whose is None else whose.session_id,
        "email_id": UNKNOWN if whose is None else whose.email_id,
    }
    # The next key, which no token needs yet.
    kid = UNKNOWN if cell.target == "unknown" else api.services.keys.current.keyring.records[-1].kid
    if "{invitation_id}" in cell.path:
        ids["invitation_id"] = UNKNOWN if whose is None else (await invitation_by(api, whose.id))[0]
    if "{mail_id}" in cell.path:
        ids["mail_id"] = UNKNOWN if whose is None else await waiting_mail(api)
    file = "missing.css" if cell.target == "unknown" else "base.css"
    path = cell.path.format(**ids, kid=kid, version="1", file=file)
    if row is not None and row.query:
        path = f"{path}?{row.query}"
    response = await api.request(cell.method, path, caller.token, json=body, allow_redirects=False)
    if response.status < 400:
        return response.status, ""
    # A HEAD brings no code: the status has to do.
    code: str = cell.expected[1] if cell.method == "HEAD" else (await response.json())["code"]
    if cell.method != "HEAD":
        await api.problem(response, response.status, code)
    if response.status == 401:
        assert response.headers["WWW-Authenticate"] == CHALLENGES.get(code, 'Bearer error="invalid_token"'), cell
    return response.status, code


def test_every_route_is_in_the_table_and_every_cell_in_the_matrix() -> None:
    assert set(TABLE) == {route.name for route in ROUTES}
    assert {route.method for route in ROUTES} <= set(METHODS)
    with_object = [path for path in PATHS if "{" in path]
    without = [path for path in PATHS if "{" not in path]
    each = len(METHODS) * len(CALLERS)
    assert len(set(CELLS)) == len(CELLS) == each * len(without) + each * len(OBJECTS) * len(with_object)
    # What is listed is there to be tried.
    listed = sum(
        (2 if name.startswith("GET") else 1)
        * (len(row.who) * len(row.objects) - len(row.who & LONG_AGO) * _refused(row))
        for name, row in TABLE.items()
    )
    assert [cell.expected[1] for cell in CELLS].count("") == listed


def _refused(row: Listed) -> int:
    """Of how many objects that are there nothing is done for who has signed in long ago."""
    return len(set(row.recent) & set(row.objects))


def test_the_table_says_of_the_same_routes_as_the_rows_that_they_ask_for_a_recent_sign_in() -> None:
    assert {name for name, row in TABLE.items() if row.recent} == {route.name for route in ROUTES if route.recent}


async def test_only_the_listed_cells_succeed(start_api: StartApi) -> None:
    """Each success that changes something has users of its own; the others are as before when all is done."""
    api = await start_api(**SETTINGS)
    scene = Scene(api)
    # First the one for whom time has to pass.
    names = sorted(CALLERS, key=lambda name: name != "expired token")
    standing = {name: await scene.caller(name) for name in names}
    other = await scene.person("customer")
    bystanders = [other, *(caller.person for caller in standing.values())]

    async def state() -> list[object]:
        store, sessions = api.services.repositories, api.services.sessions
        return [
            (await store.users.get_credentials(each.id), await sessions.list(each.id, PAGE, None))
            for each in bystanders
        ]

    before = await state()
    wrong: list[str] = []
    for cell in CELLS:
        caller, somebody = standing[cell.caller], other
        if cell.spends:
            somebody = await scene.person("customer")
            if caller.living:
                caller = await scene.caller(cell.caller)
        answer = await answer_of(api, cell, caller, somebody)
        if answer != cell.expected:
            wrong.append(f"{cell} was answered {answer} and not {cell.expected}")
    assert not wrong, "\n".join(wrong)
    assert await state() == before
    made = await api.services.repositories.users.list_users(UserFilter(limit=200, text="made-by-"))
    assert len(made) == len(TABLE["POST /users"].who - LONG_AGO)
