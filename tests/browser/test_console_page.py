"""The page at /console: what hostile text does there, and whether it can be used, by whom and on what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tests.browser.console import Console, of_admin
from tests.browser.scene import PASSWORD, USERNAME, with_customer
from tests.in_process import LocalServer, serving

if TYPE_CHECKING:
    from tests.browser.chromium import Chromium

HOSTILE = '<img src=x onerror="window.owned = 1"><script>window.owned = 2</script>'
VIEWS = {
    "#users": ("Users", "Benutzer"),
    "#users/new": ("New user", "Neuer Benutzer"),
    "#users/ID": ("NAME", "NAME"),
    "#users/ID/edit": ("Edit NAME", "NAME bearbeiten"),
    "#invitations": ("Invitations", "Einladungen"),
    "#invitations/new": ("Invite", "Einladen"),
    "#audit": ("Audit log", "Protokoll"),
    "#mails": ("Mail", "E-Mails"),
    "#keys": ("Keys", "Schlüssel"),
    "#settings": ("Settings", "Einstellungen"),
    "#routes": ("Routes", "Routen"),
    "#today": ("Today", "Heute"),
}
# Parts of the page that a message is missing for.
KEYS = "return document.body.innerText.match(/\\b(console|layout|dialog|problem)\\.[a-z_]+[.a-z_]*|\\[object/g)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with a customer whose texts are hostile."""
    with serving(tmp_path_factory.mktemp("console"), WATCHWORD__REGISTRATION__MODE="invitation") as started:
        with_customer(started)
        token = started.log_in("admin", started.admin_password())["token"]
        [lak] = started.call("GET", f"/users?q={USERNAME}", None, token)[1]["users"]
        name = f"{HOSTILE}\u202e{'x' * 60}"
        assert started.call("PATCH", f"/users/{lak['id']}", {"name": name}, token)[0] == 200
        log_in_from(started, HOSTILE + "y" * 4000)
        assert started.call("POST", "/invitations", {}, token)[0] == 201
        yield started


def log_in_from(server: LocalServer, user_agent: str) -> None:
    connection = HTTPConnection(server.address.partition("//")[2])
    body = json.dumps({"username": USERNAME, "password": PASSWORD})
    connection.request("POST", "/login", body, {"Content-Type": "application/json", "User-Agent": user_agent})
    assert connection.getresponse().status == 200
    connection.close()


@pytest.fixture
def console(chromium: Chromium, server: LocalServer) -> Iterator[Console]:
    with of_admin(chromium, server) as opened:
        yield opened
        assert opened.browser.complaints() == []


@pytest.fixture
def hostile(server: LocalServer) -> dict[str, str]:
    """The user with the hostile name."""
    token = server.log_in("admin", server.admin_password())["token"]
    [lak] = server.call("GET", f"/users?q={USERNAME}", None, token)[1]["users"]
    found: dict[str, str] = lak
    return found


def test_hostile_text_is_shown_as_text_and_cut(console: Console, hostile: dict[str, str]) -> None:
    shown = f"{hostile['name'][:60]}…"
    assert shown in console.names()
    console.click(shown)
    console.shows(shown)
    assert "U+202E" in console.text(".facts")
    device = console.rows("Sessions")[0][0]
    assert device.startswith(HOSTILE[:60])
    assert len(device) < 100
    console.click("Disable")
    console.says(f"Disable {shown}?", "dialog h2")
    console.click("Cancel")
    console.go("#audit", "Audit log")
    assert any(HOSTILE[:60] in row[4] for row in console.rows("Records of the audit log"))
    found = "return [window.owned ?? null, document.querySelectorAll('#main img, #main script').length]"
    assert console.page.run(found) == [None, 0]


def test_a_new_view_takes_the_focus_and_the_title(console: Console) -> None:
    assert console.page.run("return document.activeElement === document.body")
    console.click("Audit log")
    console.shows("Audit log")
    assert console.focused().text == "Audit log"
    assert console.page.run("return document.title") == "Audit log · Watchword"
    assert console.page.run("return document.querySelector('#views [aria-current]').textContent") == "Audit log"
    tree = console.cdp("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]}
    for part in (
        ("navigation", "Views of the console"), ("search", ""), ("combobox", "Event"),
        ("table", "Records of the audit log"), ("columnheader", "Event"), ("rowheader", "Signed in"),
    ):  # fmt: skip
        assert part in named
    # The keyboard goes from the skip link to the view, and the address stays.
    console.page.run("document.querySelector('.skip').click()")
    assert console.page.run("return [document.activeElement.id, location.hash]") == ["title", "#audit"]
    console.click("Keys")
    console.shows("Keys")
    console.page.run("history.back()")
    console.shows("Audit log")


def test_a_table_is_one_for_a_screen_reader_also_as_cards(console: Console) -> None:
    console.on_a_screen_of(360)
    tree = console.cdp("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("table") == 1
    assert roles.count("columnheader") == 5
    assert roles.count("rowheader") == 2


def test_each_view_has_words_in_both_languages_and_fits(console: Console, hostile: dict[str, str]) -> None:
    """With a hostile name; test_every_page.py looks at all that is the same for every page."""
    name = f"{hostile['name'][:60]}…"
    for language, number in (("en", 0), ("de", 1)):
        console.page.run("document.cookie = `watchword-language=${arguments[0]}; path=/`", language)
        console.page.reload()
        console.page.until(console.idle, "it is loaded")
        for fragment, titles in VIEWS.items():
            console.go(fragment.replace("ID", hostile["id"]), titles[number].replace("NAME", name))
            console.on_a_screen_of(320)
            fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            assert console.page.run(fits), fragment
            assert console.page.run(KEYS) is None, fragment


def test_what_goes_wrong_is_said_and_tried_again(console: Console) -> None:
    console.offline(True)
    console.click("Keys")
    console.says("The server does not answer.")
    console.offline(False)
    console.click("Try again")
    console.shows("Keys")
    console.click("Audit log")
    console.shows("Audit log")
    console.offline(True)
    console.fill("Done to", "nobody")
    console.says("The server does not answer.")
    console.offline(False)
    console.click("Try again")
    console.says("Nothing of this kind is recorded.")
    assert console.value("Done to") == "nobody"
    console.go("#users/00000000-0000-7000-8000-000000000000", "This could not be shown")
    console.says("That is not there any more.")
    console.go("#nowhere", "There is nothing here")
    console.browser.complaints()


def test_names_that_look_like_times_or_reasons_are_names(console: Console, server: LocalServer) -> None:
    token = server.log_in("admin", server.admin_password())["token"]
    names = ["2026-99-99T99:99:99Z", "2026-01-01T00:00:00Z", "disabled"]
    for number, name in enumerate(names):
        body = {"username": f"odd.{number}", "name": name, "role": "customer"}
        assert server.call("POST", "/users", body, token)[0] == 201
    console.go("#audit?event=user_created", "Audit log")
    for name in names:
        console.says(f"Display name: {name}\n")


@pytest.mark.parametrize("fragment", ["#constructor", "#__proto__", "#users/../x", "#users/new/edit", "#%E0%A4"])
def test_an_address_that_names_nothing_shows_nothing(console: Console, fragment: str) -> None:
    console.go(fragment, "There is nothing here")
