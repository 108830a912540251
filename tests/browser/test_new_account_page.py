"""The pages at /sign-up and /invitation, as who wants an account sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.scene import PASSWORD, USERNAME

if TYPE_CHECKING:
    from tests.browser.conftest import Visit
    from tests.in_process import LocalServer


def test_whoever_signs_up_is_signed_in_and_led_on(visit: Visit) -> None:
    page = visit("/sign-up?return_to=/docs", language="de", width=360)
    page.send("#sign-up", name="Grace Hopper", username="a b", email="nope", password="too short")
    # Each is said beside its field, and in German although the server speaks English.
    page.shows("#username-error")
    assert page.content("#username-error") == "Leerzeichen sind hier nicht erlaubt."
    assert page.focused() == "username"
    page.send("#sign-up", username=USERNAME, email="grace@example.com", password=PASSWORD)
    page.shows("#username-error")
    assert page.content("#username-error") == "Dieser Benutzername ist vergeben."
    page.send("#sign-up", username="grace")
    page.until(lambda: page.path() == "/docs", "it has gone on")
    page.visit("/account")
    page.until(lambda: page.content("#username") == "grace", "it is her account")
    assert "grace@example.com" in page.content("#emails")


def test_an_invitation_makes_one_account_and_its_token_is_not_kept(visit: Visit, hosted: LocalServer) -> None:
    admin = hosted.log_in("admin", hosted.admin_password())["token"]
    status, made = hosted.call("POST", "/invitations", {"email": "grace@example.com"}, admin)
    assert status == 201
    page = visit(f"/invitation#{made['invitation_token']}")
    assert page.path() == "/invitation"
    page.shows("#invitation")
    assert "grace@example.com" in page.content("#greeting")
    # Nobody types what is known.
    assert not page.sees("#email")
    page.send("#invitation", name="Grace Hopper", username="grace", password=PASSWORD)
    page.is_at("/account")
    page.until(lambda: "grace@example.com" in page.content("#emails"), "the address is there")
    again = visit(f"/invitation#{made['invitation_token']}")
    again.shows("#refused")
    assert not again.sees("#invitation")
    assert made["invitation_token"] not in again.run("return document.documentElement.outerHTML + location.href")
    # Without a token nobody is asked.
    without = visit("/invitation")
    without.shows("#refused")
    assert not without.sees("#invitation")


def test_the_skip_link_leads_to_the_form_and_the_link_still_works(visit: Visit, hosted: LocalServer) -> None:
    admin = hosted.log_in("admin", hosted.admin_password())["token"]
    made = hosted.call("POST", "/invitations", {}, admin)[1]
    page = visit(f"/invitation#{made['invitation_token']}")
    page.run("window.same = true; document.querySelector('.skip').click()")
    assert page.focused() == "main"
    page.send("#invitation", name="Grace Hopper", username="grace", password=PASSWORD)
    page.is_at("/account")


def test_sign_up_is_tried_again_until_the_server_answers(visit: Visit) -> None:
    page = visit()
    page.cdp("Network.enable")
    page.cdp("Network.setBlockedURLs", urls=["*/pages/settings*"])
    page.go("/sign-up")
    for _ in range(2):
        page.shows("#refused button")
        page.click("#refused button")
    page.shows("#refused button")
    page.cdp("Network.setBlockedURLs", urls=[])
    page.click("#refused button")
    page.shows("#sign-up")
