"""What people do by mail, on the pages: from the request to the changed account, with a real SMTP server.

Each mail is used in the browser that has asked for it, and by its code in another one. A program that looks at links
in mails uses nothing up (OWASP Forgot Password Cheat Sheet: tokens are single-use, and only their owner uses them).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.looking import look_at
from tests.browser.mailing import Mailing, elsewhere, mailing, presses, scan, tab
from tests.browser.scene import PASSWORD, USERNAME
from tests.mail.mail_server import code_of, link_of

if TYPE_CHECKING:
    from tests.browser.chromium import Browser, Chromium
    from tests.browser.hosted import Hosted

SECOND, THIRD = "quiet herons fold maps", "velvet comets sort pebbles"
# What the links of mails lead to.
CONFIRM, RESET, SIGN_IN = "/confirm-email#wwe_", "/reset-password#wwf_", "/sign-in#wws_"
OUT_OF_ORDER = "return document.querySelector('#state .again').disabled"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    with mailing(tmp_path_factory.mktemp("mailing")) as started:
        yield started


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    """Whatever a test does there: no script fails, and no policy is violated."""
    with chromium.browser() as opened:
        yield opened
        assert opened.defects() == []


def given(scene: Mailing, username: str) -> str:
    """An account with a verified address, which is returned."""
    admin = scene.server.log_in("admin", scene.server.admin_password())["token"]
    email = f"{username}@example.com"
    body = {"username": username, "name": "Grace", "role": "customer", "password": PASSWORD, "email": email}
    status, answer = scene.server.call("POST", "/users", body, admin)
    assert status == 201, answer
    return email


def signs_up(page: Hosted, username: str, email: str) -> None:
    page.visit("/sign-up?return_to=/docs")
    page.shows("#sign-up")
    page.send("#sign-up", name="Ada Lovelace", username=username, password=PASSWORD)
    page.shows("#email-error")
    page.send("#sign-up", email=email)
    page.shows("#confirm")
    assert email in page.content("#told")
    assert page.focused() == "code"
    assert page.run(OUT_OF_ORDER)


def leads_to_docs(page: Hosted) -> None:
    page.until(lambda: page.path() == "/docs", "it has gone on to where it was asked for")


def test_a_new_account_is_confirmed_by_the_link_of_its_mail(
    scene: Mailing, chromium: Chromium, browser: Browser
) -> None:
    origin = scene.server.address
    page = tab(browser, origin)
    signs_up(page, "ada", "ada@example.com")
    link = link_of(scene.mail("ada@example.com", CONFIRM))
    scan(chromium, origin, link, "#confirm-email")
    other = tab(browser, origin)
    other.visit(link)
    assert other.path() == "/confirm-email"
    assert other.focused() == "BUTTON"
    other.click("#confirm-email button[type=submit]")
    other.shows("#state .actions a")
    # The page that waits goes on by itself, and so does this one.
    leads_to_docs(page)
    other.click("#state .actions a")
    leads_to_docs(other)
    page.visit("/account")
    page.until(lambda: "ada@example.com" in page.content("#emails"), "the address is there")
    assert not page.sees("#emails .badge.late")
    presses(other, link, "#confirm-email")
    other.until(lambda: not other.sees("#confirm-email"), "it does not work twice")


def test_a_new_account_is_confirmed_by_the_code_in_another_browser(
    scene: Mailing, chromium: Chromium, browser: Browser
) -> None:
    from tests.browser.hosted import ENTER  # noqa: PLC0415 - needs selenium

    origin = scene.server.address
    page = tab(browser, origin, "de")
    signs_up(page, "bob", "bob@example.com")
    mail = scene.mail("bob@example.com", CONFIRM)
    assert "E-Mail" in mail.subject
    # Who has lost that page gives the right password, and is mailed to again.
    with elsewhere(chromium, origin) as phone:
        phone.sign_in("bob", PASSWORD)
        phone.shows("#confirm")
        mail = scene.mail("bob@example.com", CONFIRM, 2)
        phone.send("#confirm", email="bob@example.com", code="2222-2222")
        phone.shows("#code-error")
        assert phone.focused() == "code"
        assert phone.too_wide() == []
        phone.run("document.activeElement.value = ''")
        phone.type(code_of(mail).lower().replace("-", " "), ENTER)
        phone.is_at("/account")
    # The first page has a code that is used up by now, and the way to the sign-in.
    page.click("#state .to-sign-in")
    page.is_at("/sign-in")
    page.sign_in("bob", PASSWORD)
    leads_to_docs(page)


def test_an_address_that_is_taken_is_told_to_its_owner_alone(scene: Mailing, browser: Browser) -> None:
    email = given(scene, "owner")
    page = tab(browser, scene.server.address)
    signs_up(page, "stranger", email)
    assert "#" not in link_of(scene.mail(email, "/sign-in"))
    page.send("#confirm", code="2222-2222")
    page.shows("#code-error")


def test_a_forgotten_password_is_set_by_the_link_and_all_sessions_end(
    scene: Mailing, chromium: Chromium, browser: Browser
) -> None:
    origin, email = scene.server.address, given(scene, "grace")
    session = scene.server.log_in("grace", PASSWORD)["token"]
    page = tab(browser, origin)
    page.visit("/sign-in?return_to=/docs")
    page.click("#to-reset a")
    page.is_at("/reset-password")
    page.send("#forgot", identifier="grace")
    page.shows("#reset-password")
    assert page.focused() == "code"
    older = link_of(scene.mail(email, RESET))
    page.click("#other-name")
    page.send("#forgot", identifier=email)
    page.shows("#reset-password")
    page.reload()
    page.shows("#reset-password")
    assert page.run("return document.getElementById('identifier').value") == email
    link = link_of(scene.mail(email, RESET, 2))
    with elsewhere(chromium, origin) as scanner:
        scanner.visit(link)
        scanner.send("#reset-password", new_password=THIRD)
        scanner.shows(".code-needed")
        # What was typed stays.
        assert scanner.run("return document.getElementById('new_password').value") == THIRD
    other = tab(browser, origin)
    other.visit(older)
    other.send("#reset-password", new_password=SECOND)
    other.until(lambda: not other.sees("#reset-password"), "a newer mail makes it useless")
    other.visit(link)
    assert link.partition("#")[2] not in other.run("return location.href + document.documentElement.outerHTML")
    other.send("#reset-password", new_password="short")
    other.shows("#new_password-error")
    other.send("#reset-password", new_password=SECOND)
    other.shows("#state .actions a")
    assert scene.server.call("GET", "/me", token=session)[0] == 401
    other.click("#state .actions a")
    other.is_at("/sign-in")
    other.sign_in("grace", SECOND)
    leads_to_docs(other)


def test_a_forgotten_password_is_set_by_the_code(scene: Mailing, chromium: Chromium, browser: Browser) -> None:
    origin, email = scene.server.address, given(scene, "hedy")
    page = tab(browser, origin, "de")
    page.visit("/reset-password")
    # The page says the same for a name that nobody has.
    page.send("#forgot", identifier="nobody.at.all")
    page.shows("#sent")
    told = page.content("#sent")
    page.click("#other-name")
    page.send("#forgot", identifier="hedy")
    page.shows("#sent")
    assert page.content("#sent") == told
    page.send("#reset-password", code="2222-2222", new_password=SECOND)
    page.shows("#code-error")
    mail = scene.mail(email, RESET)
    # On the phone where it is read, the link needs the code too; and a code may be typed where there is no link.
    with elsewhere(chromium, origin) as phone:
        phone.visit(link_of(mail))
        phone.send("#reset-password", new_password=SECOND)
        phone.shows(".code-needed")
        phone.send("#reset-password", code=code_of(mail))
        phone.shows("#state .actions a")
        phone.visit("/reset-password")
        phone.send("#forgot", identifier=email)
        phone.shows("#sent")
    mail = scene.mail(email, RESET, 2)
    page.click("#other-name")
    page.click("#have-code")
    page.send("#reset-password", identifier=email, code=code_of(mail), new_password=THIRD)
    page.shows("#state .actions a")
    assert scene.server.log_in("hedy", THIRD)["token"]


def test_signing_in_by_a_mail(scene: Mailing, chromium: Chromium, browser: Browser) -> None:
    from tests.browser.hosted import ENTER, TAB  # noqa: PLC0415 - needs selenium

    origin, email = scene.server.address, given(scene, "iris")
    page = tab(browser, origin)
    page.visit("/sign-in?return_to=/docs")
    page.shows("#to-code")
    # By the keyboard alone; what was typed already is the name.
    page.type("iris", *[TAB] * 5)
    page.type(ENTER)
    page.shows("#ask")
    page.type(ENTER)
    page.shows("#by-code")
    assert page.focused() == "code"
    code = code_of(scene.mail(email, SIGN_IN))
    page.type("2222-2222", ENTER)
    page.shows("#code-error")
    # A phone loads the page again when one comes back from the mails.
    page.reload()
    page.shows("#by-code")
    page.until(lambda: page.focused() == "code", "the code can be typed")
    page.type(code.replace("-", "").lower(), ENTER)
    leads_to_docs(page)
    page.visit("/account")
    page.click("[data-action=sign-out]")
    page.is_at("/sign-in")

    page.visit("/sign-in?return_to=/docs")
    page.click("#to-code button")
    page.send("#ask", identifier=email)
    page.shows("#by-code")
    mail = scene.mail(email, SIGN_IN, 2)
    link = link_of(mail)
    scan(chromium, origin, link, "#by-link")
    with elsewhere(chromium, origin) as phone:
        presses(phone, link, "#by-link")
        phone.shows(".code-needed")
        phone.send("#by-link", code=code_of(mail))
        phone.is_at("/account")
    presses(page, link, "#by-link")
    page.shows("#state .actions a")
    page.click("#state .actions a")
    page.is_at("/sign-in")
    page.click("#to-code button")
    page.send("#ask", identifier=email)
    page.shows("#by-code")
    other = tab(browser, origin)
    presses(other, link_of(scene.mail(email, SIGN_IN, 3)), "#by-link")
    leads_to_docs(other)
    # The tab that waits is led on too.
    leads_to_docs(page)


def test_another_address_is_added_and_confirmed(scene: Mailing, chromium: Chromium, browser: Browser) -> None:
    email = given(scene, "judy")
    page = tab(browser, scene.server.address)
    page.sign_in("judy", PASSWORD)
    page.is_at("/account")
    with contextlib.closing(sqlite3.connect(scene.store)) as store, store:
        store.execute("UPDATE sessions SET authenticated_at = authenticated_at - 601000")
    # Its token is from before that.
    page.reload()
    page.send("#add-email", email="judy@example.org")
    page.shows("#confirm-password")
    page.send("dialog form[method=post]", password=PASSWORD)
    page.shows("#emails form")
    page.until(lambda: page.focused() == "code", "the code is asked for")
    mail = scene.mail("judy@example.org", CONFIRM)
    scan(chromium, scene.server.address, link_of(mail), "#confirm-email")
    page.send("#emails form", code="2222-2222")
    page.shows("#emails .error")
    page.send("#emails form", code=code_of(mail))
    page.until(lambda: not page.sees("#emails .badge.late"), "it is confirmed")
    assert page.focused() == "emails-title"
    page.send("#add-email", email="Judy@example.org")
    page.shows("#add-email .form-done")
    # The one of before hears of it.
    assert "judy@example.org" in scene.mail(email, "/account").text
    # An address of somebody else looks as any other one, and its owner is told.
    taken = given(scene, "kate")
    page.send("#add-email", email=taken)
    page.shows("#emails form")
    assert "#" not in link_of(scene.mail(taken, "/sign-in"))
    page.visit("/account")
    page.click("#emails [data-action=confirm]")
    page.click("#emails form .again")
    page.until(lambda: page.run("return document.querySelector('#emails .again').disabled"), "it waits")
    scene.mail(taken, "/sign-in", 2)


def test_an_invitation_is_mailed_and_used_and_admins_see_the_mail(
    scene: Mailing, chromium: Chromium, browser: Browser
) -> None:
    from tests.browser.hosted import READY  # noqa: PLC0415 - needs selenium

    origin = scene.server.address
    admin = tab(browser, origin)
    admin.sign_in("admin", scene.server.admin_password())
    admin.is_at("/account")
    admin.visit("/console#invitations/new")
    admin.send("#view form", email="lise@example.com")
    admin.shows("#view .secret")
    assert admin.content("#view .secret").count("lise@example.com") == 2
    link = link_of(scene.mail("lise@example.com", "/invitation"))
    with elsewhere(chromium, origin) as phone:
        phone.visit(link)
        phone.send("#invitation", name="Lise", username="lise", password=PASSWORD)
        phone.is_at("/account")
        phone.until(lambda: "lise@example.com" in phone.content("#emails"), "the address is there")
        assert not phone.sees("#emails .badge.late")

    # What could not be sent is seen, with the reason, and is tried again once that is mended.
    scene.mails.replies["RCPT"] = lambda address: "550 5.1.1 No such user" if address.startswith("lost") else None
    admin.visit("/console#invitations/new")
    admin.send("#view form", email="lost@example.com")
    admin.shows("#view .secret")
    admin.visit("/console#mails?state=given_up")

    def shown() -> bool:
        admin.run("location.reload()")
        admin.until(lambda: admin.run(READY), "it is loaded")
        return "550 5.1.1 No such user" in admin.content("#view tbody")

    admin.until(shown, "the mail is given up")
    scene.mails.replies.clear()
    admin.click("#view tbody button")
    admin.until(lambda: not admin.sees("#view tbody"), "it is no longer among those that were given up")
    assert scene.mail("lost@example.com", "/invitation")


def test_no_state_of_these_pages_keeps_anybody_out(
    scene: Mailing, chromium: Chromium, browser: Browser, axe: str
) -> None:
    """test_every_page.py looks at the pages as they are opened."""
    page = tab(browser, scene.server.address, "de")

    def looks(path: str, *steps: tuple[str, dict[str, str]], shown: str) -> None:
        page.visit(path)
        for form, values in steps:
            if values:
                page.send(form, **values)
            else:
                page.click(form)
        page.shows(shown)
        look_at(page, axe, "de")

    who = {"identifier": USERNAME}
    looks("/sign-in#wws_none", shown="#by-link")
    looks("/reset-password", shown="#forgot")
    looks("/reset-password", ("#forgot", who), shown="#reset-password .again")
    looks("/sign-in", ("#to-code button", {}), shown="#ask")
    looks("/sign-in", ("#to-code button", {}), ("#ask", who), ("#by-code", {"code": "2222-2222"}), shown="#code-error")
    new = {"name": "Mary", "username": "mary", "email": "mary@example.com", "password": PASSWORD}
    looks("/sign-up", ("#sign-up", new), shown="#confirm")
    link = link_of(scene.mail("mary@example.com", CONFIRM))
    with elsewhere(chromium, scene.server.address) as phone:
        presses(phone, link, "#confirm-email")
        phone.shows(".code-needed")
        look_at(phone, axe, "en")
    given(scene, "nora")
    page.sign_in("nora", PASSWORD)
    page.is_at("/account")
    looks("/account", ("#add-email", {"email": "nora@example.org"}), shown="#emails form")
