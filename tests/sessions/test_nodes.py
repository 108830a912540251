"""Two servers on one store, and the command line beside a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.calling import wait_until_revoked
from tests.claims import claims_of
from tests.in_process import LocalServer
from tests.running import PASSWORD
from tests.site_of_servers import Site, on_postgres, refresh

MISTYPED = "seven-purple-lanterns-hum"


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, store_url, stack)


@pytest.mark.parametrize(
    "command",
    [
        ("users", "disable", "lak"),
        ("users", "set-role", "lak", "admin"),
        ("users", "set-password", "lak", "--password-stdin"),
    ],
    ids=lambda command: command[1],
)
def test_a_command_reaches_the_tokens_of_a_running_server(site: Site, command: tuple[str, ...]) -> None:
    server = site.serve_here()
    answer = server.log_in("lak", PASSWORD)
    assert server.call("GET", "/me", token=answer["token"])[0] == 200
    site.command(*command, stdin="another horse, another battery")
    wait_until_revoked(server, answer["token"])
    status, body = refresh(server, answer["refresh_token"])
    if command[1] == "set-role":
        assert (status, claims_of(body["token"])["role"]) == (200, "admin")
        assert server.call("GET", "/users", token=body["token"])[0] == 200
    else:
        assert (status, body["code"]) == (401, "refresh_invalid")


def test_a_user_who_is_enabled_again_logs_in_and_nothing_else_comes_back(site: Site) -> None:
    server = site.serve_here()
    answer = server.log_in("lak", PASSWORD)
    site.command("users", "disable", "lak")
    site.command("users", "enable", "LAK")
    wait_until_revoked(server, answer["token"])
    assert refresh(server, answer["refresh_token"])[0] == 401
    assert server.log_in("lak", PASSWORD)["token"]


def by_http(method: str, path: str, body: dict[str, Any] | None = None) -> Callable[[LocalServer, str, str], None]:
    def change(server: LocalServer, admin_token: str, user_id: str) -> None:
        status, answer = server.call(method, path.format(id=user_id), body, admin_token)
        assert status in {200, 204}, answer

    return change


CHANGES = {
    "disable": by_http("PATCH", "/users/{id}", {"disabled": True}),
    "set-role": by_http("PATCH", "/users/{id}", {"role": "admin"}),
    "delete": by_http("DELETE", "/users/{id}"),
    "end sessions": by_http("DELETE", "/users/{id}/sessions"),
}


@on_postgres
@pytest.mark.parametrize("change", list(CHANGES))
def test_what_one_node_changes_reaches_the_tokens_at_the_other(site: Site, change: str) -> None:
    one, two = site.serve_here(), site.serve_here()
    answer = one.log_in("lak", PASSWORD)
    assert two.call("GET", "/me", token=answer["token"])[0] == 200
    CHANGES[change](one, one.log_in("sahan", PASSWORD)["token"], claims_of(answer["token"])["sub"])
    wait_until_revoked(two, answer["token"])


def test_a_restart_ends_no_session(site: Site) -> None:
    server = site.serve_here()
    answer = server.log_in("lak", PASSWORD)
    successor = refresh(server, answer["refresh_token"])[1]["refresh_token"]
    server.stop()
    server = site.serve_here()
    assert server.call("GET", "/me", token=answer["token"])[0] == 200
    # Also the retry of a client that lost the answer just before.
    assert refresh(server, answer["refresh_token"])[1]["refresh_token"] == successor
    assert refresh(server, successor)[0] == 200


def test_a_dump_of_the_store_holds_nothing_that_a_client_was_given(site: Site, tmp_path: Path, store_url: str) -> None:
    server = site.serve_here()
    first = server.log_in("lak", PASSWORD)
    second = refresh(server, first["refresh_token"])[1]
    sahan = server.log_in("sahan", PASSWORD)
    user_id = claims_of(first["token"])["sub"]
    reset = server.call("POST", f"/users/{user_id}/password-reset", token=sahan["token"])[1]
    made = server.call("POST", "/users", {"username": "new", "name": "New", "role": "customer"}, sahan["token"])[1]
    # A password that was typed into the wrong field.
    assert server.call("POST", "/login", {"username": MISTYPED, "password": ""})[0] == 400
    if store_url.startswith("sqlite"):
        dump = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("watchword.db*")))
    else:
        dump = asyncio.run(_tables(store_url))
    assert user_id.encode() in dump  # it is the right dump
    given = [PASSWORD, MISTYPED, reset["reset_token"], made["reset_token"]]
    for answer in (first, second, sahan):
        given += [answer["token"], answer["refresh_token"]]
    for text in given:
        assert text.encode() not in dump
        # The part of a token that nobody else can make is its end: a signature or a MAC.
        assert text.encode()[-22:] not in dump
        assert text.rpartition(".")[2].encode() not in dump


async def _tables(store_url: str) -> bytes:
    connection = await asyncpg.connect(store_url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'watchword'")
        tables = [f'SELECT * FROM watchword."{name}"' for (name,) in names]  # noqa: S608 - names of our own migrations
        rows = [row for table in tables for row in await connection.fetch(table)]
        return b"\n".join(b" ".join(_plain(value) for value in row) for row in rows)
    finally:
        await connection.close()


def _plain(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
