"""The page at /console: what admins do there, by clicks and keys."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.console import Console, of_admin, signed_in, users_file
from tests.browser.scene import PASSWORD, USERNAME, with_customer
from tests.in_process import LocalServer, run, serving
from tests.volume import volume

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium

USERS = volume(10_000)
# The answer to one search comes when the test says so.
HOLD_BACK = """
const fetched = window.fetch;
window.fetch = async (url, options) => {
  const answer = await fetched(url, options);
  if (/q=user\\.99(&|$)/.test(url)) await new Promise((go) => { window.late = go; });
  return answer;
};
"""
SETTINGS = {"WATCHWORD__REGISTRATION__MODE": "invitation"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LocalServer]:
    """A server with many users, and one customer who can sign in."""
    with serving(folder, **SETTINGS) as started:
        with_customer(started)
        (folder / "users.jsonl").write_text(users_file(USERS))
        imported = run(folder, "users", "import", "users.jsonl", **SETTINGS)
        assert imported.stdout.startswith(f"imported {USERS}"), imported.stderr
        yield started


@pytest.fixture
def console(chromium: Chromium, server: LocalServer) -> Iterator[Console]:
    """Signed in as the first admin. Whatever a test does: no policy is violated, and nothing fails unseen."""
    with of_admin(chromium, server) as opened:
        yield opened
        complaints = [line for line in opened.browser.complaints() if "Failed to load resource" not in line]
        assert complaints == []


def admin_token(server: LocalServer) -> str:
    token: str = server.log_in("admin", server.admin_password())["token"]
    return token


def new_user(server: LocalServer, username: str, **more: str) -> str:
    """The id of a user that is made for one test."""
    body = {"username": username, "name": username.title(), "role": "customer"} | more
    status, answer = server.call("POST", "/users", body, admin_token(server))
    assert status == 201, answer
    user_id: str = answer["user"]["id"]
    return user_id


def test_users_are_found_as_one_types_and_late_answers_do_not_count(console: Console) -> None:
    console.page.run(HOLD_BACK)
    console.field("Find by name, username or address").send_keys("user.99")
    console.page.until(lambda: console.page.run("return !!window.late"), "it has asked")
    console.type("999")
    console.says("No user fits.")
    console.announces("No user fits.")
    console.page.run("window.late()")
    console.fill("Find by name, username or address", f"user.{USERS - 1}")
    console.lists(f"User {USERS - 1}")
    console.announces("1 row is shown")
    assert console.page.run("return location.hash") == f"#users?q=user.{USERS - 1}"
    console.page.reload()
    console.shows("Users")
    console.lists(f"User {USERS - 1}")
    assert console.value("Find by name, username or address") == f"user.{USERS - 1}"


def test_filters_and_pages(console: Console, server: LocalServer) -> None:
    console.choose("Role", "admin")
    console.lists("Administrator")
    console.choose("Role", "Any role")
    console.page.until(lambda: console.idle() and len(console.names()) == 50, "all are listed")
    first = console.names()
    console.click("Next page")
    console.says("Page 2")
    second = console.names()
    assert len(second) == 50
    assert not set(first) & set(second)
    assert console.page.run("return document.activeElement.matches('.list > div')")
    console.click(second[7])
    console.shows(second[7])
    console.page.run("history.back()")
    console.shows("Users")
    assert console.names() == second
    console.click("Previous page")
    console.page.until(lambda: console.idle() and console.names() == first, "it shows the first page")
    new_user(server, "gone.away")
    console.choose("State", "Disabled")
    console.says("No user fits.")


def test_the_five_frequent_jobs_take_three_clicks_at_most(console: Console, server: LocalServer) -> None:
    new_user(server, "mira")
    # Find a user.
    console.field("Find by name, username or address").send_keys("mira")
    console.lists("Mira")
    console.click("Mira")
    console.shows("Mira")
    assert console.clicks == 1
    # See what the user did: it is there.
    assert console.rows("What happened")[0][0] == "User created"
    # A link for a new password.
    console.click("Reset link")
    console.says("Link for a new password", ".secret h2")
    assert console.clicks == 2
    link = console.page.run("return document.querySelector('.secret input').value")
    page, _, token = link.partition("#")
    assert page == f"{server.address}/reset-password"
    body = {"reset_token": token, "new_password": "purple otters stack lanterns"}
    assert server.call("POST", "/password/reset", body)[0] == 204
    # It is shown once.
    console.page.reload()
    console.shows("Mira")
    assert token not in console.page.run("return document.documentElement.outerHTML + JSON.stringify(history.state)")
    # Disable the user.
    signed = server.log_in("mira", "purple otters stack lanterns")["token"]
    console.clicks = 1
    console.click("Disable")
    console.click("Disable")
    console.announces("Mira is disabled.")
    assert console.clicks == 3
    assert server.call("GET", "/me", None, signed)[1]["code"] == "token_revoked"
    assert console.rows("What happened")[0][0] == "User changed"
    assert "Disabled: no → yes" in console.rows("What happened")[0][4]
    # Invite somebody.
    console.click("Users")
    console.shows("Users")
    console.clicks = 0
    console.click("Invite")
    console.shows("Invite")
    console.click("Make the link")
    console.says("an account with the role customer, until")
    assert console.clicks == 2
    page, _, token = console.page.run("return document.querySelector('.secret input').value").partition("#")
    assert page == f"{server.address}/invitation"
    assert server.call("POST", "/invitations/check", {"invitation_token": token})[0] == 200


def test_a_user_is_made_and_nothing_typed_is_lost(console: Console, server: LocalServer) -> None:
    console.click("New user")
    console.shows("New user")
    console.click("Create user")
    console.says("Please fill in this field.")
    assert console.page.run("return document.activeElement.name") == "username"
    console.fill("Username", USERNAME)
    console.fill("Display name", "Zoë <b>")
    console.fill("Email address (optional)", "zoe@example.com")
    console.field("Set a password now").click()
    console.fill("Password", "short")
    console.click("Create user")
    console.says("at least")
    console.fill("Password", PASSWORD)
    console.click("Create user")
    console.page.until(lambda: console.field("Username").get_attribute("aria-invalid") == "true", "the name is taken")
    console.fill("Username", "zoe")
    console.offline(True)
    console.click("Create user")
    console.says("The server does not answer.")
    console.offline(False)
    # The browser has what was typed also after a way back and forth, but no password.
    console.go("#keys", "Keys")
    console.page.run("history.back()")
    console.shows("New user")
    fields = ("Username", "Display name", "Email address (optional)", "Password")
    assert [console.value(name) for name in fields] == ["zoe", "Zoë <b>", "zoe@example.com", ""]
    assert PASSWORD not in console.page.run("return JSON.stringify(history.state)")
    console.fill("Password", PASSWORD)
    console.click("Create user")
    console.says("Zoë <b> was created")
    assert console.page.run("return document.querySelectorAll('#view b').length") == 0
    assert server.log_in("zoe", PASSWORD)["token"]
    console.click("Show the user")
    console.shows("Zoë <b>")
    assert "zoe@example.com" in console.text(".facts")
    # A form that was sent is empty the next time.
    console.go("#users/new", "New user")
    assert console.value("Username") == ""


def test_a_user_is_changed_and_deleted(console: Console, server: LocalServer) -> None:
    user_id = new_user(server, "elif")
    console.go(f"#users/{user_id}", "Elif")
    console.click("Edit")
    console.shows("Edit Elif")
    console.fill("Username", "elif.novak")
    console.fill("Email address (optional)", "elif@example.com")
    console.choose("Role", "admin")
    console.field("Disabled").click()
    # Meanwhile another admin gives another name.
    status, _ = server.call("PATCH", f"/users/{user_id}", {"name": "Elif Novák"}, admin_token(server))
    assert status == 200
    console.click("Save")
    console.shows("Elif Novák")
    told = console.text(".facts")
    assert all(text in told for text in ("elif.novak", "elif@example.com", "admin", "Disabled")), told
    console.click("Enable")
    console.announces("Elif Novák is enabled.")
    console.click("Delete")
    console.click("Cancel")
    assert console.focused().text == "Delete"
    console.click("Delete")
    console.says("Delete Elif Novák?", "dialog h2")
    console.click("Delete")
    console.shows("Users")
    assert server.call("GET", f"/users/{user_id}", None, admin_token(server))[0] == 404
    console.page.run("history.back()")
    console.says("That is not there any more.")


def test_an_address_that_nobody_verified_is_verified_by_an_admin(
    console: Console, server: LocalServer, folder: Path
) -> None:
    (folder / "vera.jsonl").write_text('{"username": "vera", "email": "vera@example.com", "email_verified": false}\n')
    imported = run(folder, "users", "import", "vera.jsonl", "--role", "customer", **SETTINGS)
    assert imported.returncode == 0, imported.stderr
    (user,) = server.call("GET", "/users?q=vera@example.com", None, admin_token(server))[1]["users"]
    console.go(f"#users/{user['id']}", user["name"])
    assert "(not verified)" in console.text(".facts")
    console.click("Mark address as verified")
    console.announces("vera@example.com is verified: its owner can sign in with it.")
    assert "(not verified)" not in console.text(".facts")
    (user,) = server.call("GET", "/users?q=vera@example.com", None, admin_token(server))[1]["users"]
    assert user["email_verified"]


def test_what_is_dangerous_asks_for_the_password_when_the_sign_in_is_old(
    console: Console, server: LocalServer, folder: Path
) -> None:
    user_id = new_user(server, "noor")
    with sqlite3.connect(folder / "data" / "watchword.db") as store:
        store.execute("UPDATE sessions SET authenticated_at = 1, created_at = 1")
    store.close()
    console.page.reload()
    console.go(f"#users/{user_id}", "Noor")
    console.click("Reset link")
    console.says("Please confirm your password", "dialog")
    console.click("Cancel")
    console.page.until(lambda: console.page.run("return !document.querySelector('dialog')"), "it is given up")
    assert console.page.run("return document.querySelectorAll('.secret, .notice.bad').length") == 0
    console.click("Reset link")
    console.confirm_password(server.admin_password())
    console.says("Link for a new password", ".secret h2")


def test_sessions_of_a_user_are_seen_and_ended(console: Console, server: LocalServer) -> None:
    signed = [server.log_in(USERNAME, PASSWORD)["token"] for _ in range(12)]
    console.field("Find by name, username or address").send_keys(USERNAME)
    console.lists("Lak")
    console.click("Lak")
    console.shows("Lak")
    assert len(console.rows("Sessions")) == 10
    console.click("End all sessions")
    console.click("End all sessions")
    console.announces("All sessions are over.")
    console.says("No session is open.")
    assert server.call("GET", "/me", None, signed[0])[1]["code"] == "token_revoked"


def test_the_audit_log_is_filtered(console: Console, server: LocalServer) -> None:
    user_id = new_user(server, "pavel")
    server.call("PATCH", f"/users/{user_id}", {"name": "Pavel Silva"}, admin_token(server))
    console.click("Audit log")
    console.shows("Audit log")
    console.fill("Done to", "pavel")
    console.page.until(lambda: console.idle() and len(console.rows("Records of the audit log")) == 2, "two fit")
    changed, made = console.rows("Records of the audit log")
    assert (changed[0], changed[2], changed[3]) == ("User changed", "admin", "pavel")
    assert "Display name: Pavel → Pavel Silva" in changed[4]
    assert made[0] == "User created"
    console.choose("Event", "User created")
    console.page.until(lambda: console.idle() and len(console.rows("Records of the audit log")) == 1, "one fits")
    console.set("From", "2099-01-01T00:00")
    console.says("Nothing of this kind is recorded.")
    console.page.reload()
    console.shows("Audit log")
    console.says("Nothing of this kind is recorded.")
    console.go(f"#audit?user={user_id}", "Audit log")
    console.says("Only what Pavel Silva did")
    assert len(console.rows("Records of the audit log")) == 2


def test_keys_are_rotated_and_revoked_and_the_page_goes_on(console: Console) -> None:
    console.click("Keys")
    console.shows("Keys")
    before = {row[0]: row[2].partition("\n")[0] for row in console.rows("Keys")}
    assert sorted(before.values()) == ["Active", "Next"]
    for answer in ("The next key follows.", "A rotation is under way already"):
        console.click("Rotate keys")
        console.says("Nobody has to sign in again.", "dialog")
        console.click("Rotate keys")
        console.answers(answer)
    console.click("Revoke")
    console.says("Do this only if the key is in wrong hands.", "dialog")
    console.click("Revoke")
    console.announces("The key is revoked.")
    after = {row[0]: row[2].partition("\n")[0] for row in console.rows("Keys")}
    assert [kid for kid, state in after.items() if state == "Revoked"] == [
        kid for kid, state in before.items() if state == "Active"
    ]
    # The token of this page was signed with it.
    console.click("Users")
    console.shows("Users")
    assert console.names()


def test_settings_routes_and_today(console: Console, server: LocalServer) -> None:
    console.click("Settings")
    console.shows("Settings")
    console.field("Find by name or value").send_keys("registration.mode")
    console.page.until(lambda: len(console.rows("Settings")) == 1, "one fits")
    [[name, value, source, default]] = console.rows("Settings")
    assert (name, value, source, default) == ("registration.mode", "invitation", "environment", "closed")
    console.click("Routes")
    console.shows("Routes")
    console.fill("Find by method, path or role", "delete /users/")
    console.page.until(lambda: len(console.rows("Routes")) == 2, "two fit")
    assert console.rows("Routes")[0][1] == "admin"
    console.fill("Path", "/users")
    console.choose("Role of who calls", "customer")
    console.click("Explain")
    console.says("Denied: GET /users", ".notice")
    console.says("The role customer is none of these", ".notice")
    console.fill("Path", "/nowhere")
    console.click("Explain")
    console.page.until(lambda: console.field("Path").get_attribute("aria-invalid") == "true", "there is none")
    console.click("Today")
    console.shows("Today")
    users = int(re.search(r"Users\n([\d,]+)", console.text(".figures"))[1].replace(",", ""))  # type: ignore[index]
    assert users > USERS
    assert console.page.run("return document.querySelector('svg.columns').getAttribute('aria-label')").endswith(
        "failed"
    )
    console.click("As a table")
    assert len(console.rows("Sign-ins of the last 24 hours")) == 24
    assert [row[0] for row in console.rows("Users by role")] == ["customer", "admin"]


def test_who_is_no_admin_is_told_so_and_no_data_is_asked_for(chromium: Chromium, server: LocalServer) -> None:
    with chromium.browser() as browser:
        console = signed_in(browser, server, USERNAME, PASSWORD)
        console.shows("This page is for admins")
        console.says(USERNAME)
        asked = {line for line in console.asked() if line not in {"GET /console", "GET /health/live", "POST /login"}}
        assert asked <= {"POST /refresh", "GET /me", "GET /verify", "GET /pages/settings", "GET /favicon.ico"}
        assert not console.page.run("return document.getElementById('views').checkVisibility()")


def test_an_admin_no_more_sees_nothing_of_it_any_more(chromium: Chromium, server: LocalServer) -> None:
    user_id = new_user(server, "former", role="admin", password=PASSWORD)
    with chromium.browser() as browser:
        console = signed_in(browser, server, "former", PASSWORD)
        console.shows("Users")
        server.call("PATCH", f"/users/{user_id}", {"role": "customer"}, admin_token(server))
        console.page.until(lambda: console.title() == "This page is for admins", f"it says so, not {console.title()!r}")
        assert "Administrator" not in console.text("body")
        assert not console.page.run("return document.getElementById('views').checkVisibility()")
