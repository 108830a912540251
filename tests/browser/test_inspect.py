"""The page at /inspect, in a browser, against the server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.browser.inspector import Inspector, customers, strays, with_payload
from tests.browser.scene import PASSWORD, USERNAME, Start, with_customer
from tests.in_process import LocalServer

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

# `@` stands for a token, which may be broken into lines.
HEADER_LINES = (
    "@", "Authorization: Bearer @", "authorization:bearer @", "Bearer @", "  @\r\n", '"@"', "'@',", "`@`",
    '"Authorization: Bearer @"', "\ufeff@\u200b",
)  # fmt: skip
OTHER_PLACES = (
    '{"token": "@"}', '{"access_token": "@", "token_type": "Bearer"}', '{"token": "Bearer @"}', 'TOKEN="@"',
    "curl -s -H 'Authorization: Bearer @' http://127.0.0.1:8080/users", "access_token=@; Path=/",
    '{"headers": {"authorization": "Bearer @"}}',
)  # fmt: skip
NO_TOKENS = (
    "what is this?", '{"user": {"id": 7}}', "[]", '{"token": 7}', "p\u00e4ss w\u00f6rd", "eyJ1.a.b, eyJ2.a.b",
    "a" * 16_385,
)  # fmt: skip
FAILURES = (
    (401, "", "Not open here", "do not let everybody"),
    (403, "", "Not open here", "do not let everybody"),
    (408, "", "No answer", "did not reach the server in time"),
    (413, "", "Not looked at", "more than the server reads"),
    (422, "", "Not looked at", "too long"),
    (429, "90", "Too many questions", "Try again in 1 minute 30 seconds."),
    (503, "1", "Busy", "Try again in 1 second."),
    (503, "", "Busy", "Try again in a moment."),
    (500, "", "No answer", "(status 500). Its log knows more, under abc-1."),
    (502, "", "No answer", "(status 502)."),
)


def test_a_good_token_is_accepted_and_explained(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    assert inspector.shown("empty").startswith("What can be pasted")
    inspector.paste(token)
    inspector.says("Accepted")
    assert inspector.shown("reasons") == f"{USERNAME} may use it, in the role customer."
    assert inspector.text("announcer") == f"Accepted. {USERNAME} may use it, in the role customer."
    assert re.fullmatch(r"Good for (5 minutes|4 minutes 5\d seconds) more\.", inspector.shown("countdown"))
    assert (inspector.shown("empty"), inspector.shown("unproven")) == ("", "")

    claims = inspector.members("claims")
    assert list(claims) == ["iss", "sub", "aud", "iat", "exp", "jti", "sid", "role", "username", "auth_time", "amr"]
    assert (claims["iss"], claims["role"], claims["username"]) == ("my-api", "customer", USERNAME)
    assert re.search(r" (now|\d seconds? ago)\n\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ · \d{10}$", claims["iat"])
    assert re.search(r" (now|\d seconds? ago)\n", claims["auth_time"])
    assert "pwd" in claims["amr"]
    assert re.search(r" in (5 minutes|4 minutes 5\d seconds)\n\d{4}-\d\d-\d\dT", claims["exp"])
    assert "session: a logout ends both" in inspector.shown("claims")
    header = inspector.members("header")
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    told = f"It holds: it was made with ES256 by the key {header['kid']}. It is the key that signs now."
    assert inspector.shown("signature") == f"Signature\n{told}"

    assert "GET /me" in inspector.routes("own-routes")
    assert "GET /users" not in inspector.routes("own-routes")
    assert "POST /login" in inspector.routes("open-routes")
    assert inspector.sent() == [token]


def test_the_times_run(inspector: Inspector, server: LocalServer) -> None:
    inspector.paste(customers(server))
    inspector.says("Accepted")
    before = inspector.shown("countdown"), inspector.members("claims")
    inspector.page.until(lambda: inspector.shown("countdown") != before[0], "the countdown goes on")
    inspector.page.until(lambda: inspector.members("claims")["iat"] != before[1]["iat"], "the age goes on")
    assert len(inspector.sent()) == 1


def test_the_parts_of_the_token_are_shown_in_colours_above_the_field(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    inspector.paste(token)
    inspector.says("Accepted")
    assert inspector.page.run("return [...document.querySelectorAll('#colours i')].map(i => i.textContent)") == (
        token.split(".")
    )
    assert inspector.text("colours") == token
    # The two layers break their lines alike, or the caret would not be where it seems.
    for text in (token, token * 20, "a b\n\nc\n"):
        inspector.paste(text)
        heights = inspector.page.run(
            "return ['token', 'colours'].map((name) => document.getElementById(name)).map("
            "(e) => [e.scrollHeight, e.clientWidth, e.scrollTop, e.getBoundingClientRect().y])"
        )
        assert heights[0] == heights[1]


def test_a_forged_token_is_not_valid(inspector: Inspector, server: LocalServer) -> None:
    inspector.paste(with_payload(customers(server), role="admin"))
    inspector.says("Not valid")
    assert inspector.shown("reasons") == "The signature was not made by that key over this header and payload."
    assert inspector.shown("signature").startswith("Signature\nIt does not hold: it was not made by the key ")
    assert inspector.shown("unproven").startswith("Nothing vouches for these")
    assert inspector.members("claims")["role"] == "admin"
    assert (inspector.shown("routes"), inspector.shown("countdown")) == ("", "")


def test_a_token_expires_before_the_eyes_of_its_reader(browser: Browser, start: Start) -> None:
    server = with_customer(start(WATCHWORD__TOKENS__ACCESS_TTL_SECONDS="4"))
    inspector = Inspector(browser, browser.open(f"{server.address}/inspect"))
    inspector.paste(customers(server))
    inspector.says("Accepted")
    assert inspector.shown("countdown").startswith("Good for ")
    inspector.says("Expired")
    assert inspector.text("announcer") == "Expired. It has expired."
    assert inspector.shown("countdown").startswith("It expired ")
    assert inspector.shown("routes") == ""
    assert "It holds" in inspector.shown("signature")
    assert len(set(inspector.sent())) == 1
    assert browser.complaints() == []
    assert strays(browser, server) == set()


def test_a_logout_shows_when_it_is_checked_again(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    inspector.paste(token)
    inspector.says("Accepted")
    assert server.call("POST", "/logout", token=token)[0] == 204
    inspector.page.press("again")
    inspector.says("Revoked")
    assert inspector.shown("reasons").startswith("Its session has ended: by a logout")
    assert inspector.shown("routes") == ""


def test_a_refresh_token_is_not_sent(inspector: Inspector, server: LocalServer) -> None:
    refresh_token = server.log_in(USERNAME, PASSWORD)["refresh_token"]
    for text in (refresh_token, f'"{refresh_token}"', json.dumps({"refresh_token": refresh_token})):
        inspector.paste(text)
        inspector.says("Not looked at")
        assert inspector.shown("reasons").startswith("This is a refresh token. It buys new access tokens")
        assert inspector.shown("claims") == ""
    inspector.paste("wwp_AZqyXwOpfByb")
    inspector.page.until(lambda: "password reset token" in inspector.shown("reasons"), "it tells what it is")
    inspector.paste("wwi_AZqn0gxLfhmm")
    inspector.page.until(lambda: "invitation token" in inspector.shown("reasons"), "it tells what it is")
    inspector.paste("wwf_AZqn0gxLfhmm")
    inspector.page.until(lambda: "it sets a new password" in inspector.shown("reasons"), "it tells what it is")
    inspector.paste("wws_AZqn0gxLfhmm")
    inspector.page.until(lambda: "it signs in" in inspector.shown("reasons"), "it tells what it is")
    inspector.paste("wwe_AZqn0gxLfhmm")
    inspector.page.until(lambda: "it confirms an address" in inspector.shown("reasons"), "it tells what it is")
    assert inspector.sent() == []


def test_the_answer_to_a_login_may_be_pasted_anywhere(inspector: Inspector, server: LocalServer) -> None:
    answer = server.log_in(USERNAME, PASSWORD)
    inspector.page.run("document.getElementById('empty').tabIndex = -1")
    inspector.paste(json.dumps(answer, indent=2), into="empty")
    inspector.says("Accepted")
    assert inspector.field() == answer["token"]
    assert inspector.shown("note") == (
        "The token was taken out of what you pasted. The refresh token beside it was left out."
    )
    assert inspector.sent() == [answer["token"]]
    everything: str = inspector.page.run("return document.documentElement.outerHTML + document.body.innerText")
    assert answer["refresh_token"] not in everything


def test_the_token_is_found_in_what_is_around_it(inspector: Inspector) -> None:
    token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA-_09"
    lines = "\n  ".join(token[place : place + 9] for place in range(0, len(token), 9))
    for around in HEADER_LINES:
        for text in (token, lines, f" {lines}\r\n"):
            found = inspector.call("inspect-pasted.js", "readPasted", around.replace("@", text))
            assert found["token"] == token, around
            assert (found["note"] == "") == (around.replace("@", text).strip(" \r\n\ufeff\u200b") == token), around
    for around in OTHER_PLACES:
        found = inspector.call("inspect-pasted.js", "readPasted", around.replace("@", token))
        assert found["token"] == token, around


def test_what_is_no_token_is_not_sent(inspector: Inspector) -> None:
    for text in NO_TOKENS:
        inspector.paste(text)
        inspector.page.until(inspector.field, "it is pasted")
        inspector.says("Not looked at")
        assert inspector.shown("reasons").startswith(("No token was found", "This is longer than any token")), text
        inspector.page.press("clear")
    assert inspector.sent() == []
    inspector.paste("garbage")
    inspector.says("Not valid")
    assert inspector.shown("reasons").startswith("It is not three parts with dots between them")
    assert (inspector.shown("claims"), inspector.shown("header"), inspector.shown("signature")) == ("", "", "")


def test_the_latest_paste_wins(inspector: Inspector, server: LocalServer) -> None:
    first = customers(server)
    last = server.log_in("admin", server.admin_password())["token"]
    inspector.page.run(
        "window.words = []; new MutationObserver(() => words.push(document.getElementById('claims').textContent))"
        ".observe(document.getElementById('claims'), {childList: true, subtree: true})"
    )
    with server.halted():
        inspector.paste(first)
        inspector.page.until(lambda: inspector.sent() == [first], "the first one is under way")
        inspector.paste(last)
        inspector.page.until(lambda: inspector.sent() == [first, last], "the second one is under way")
    inspector.says("Accepted")
    assert inspector.members("claims")["username"] == "admin"
    # The ages of times change every second, so there may be more than one; none is of the first token.
    shown = inspector.page.run("return words")
    assert shown
    assert all("the name to log in withadmin" in text for text in shown)


def test_typing_is_waited_for(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    for piece in (token[:50], token[50:200], token[200:]):
        inspector.page.run("document.getElementById('token').focus()")
        inspector.cdp("Input.insertText", text=piece)
    inspector.says("Accepted")
    assert inspector.sent()[-1] == token
    assert inspector.field() == token


def test_a_server_that_is_down_is_told_and_asked_again(browser: Browser, start: Start) -> None:
    server = with_customer(start())
    inspector = Inspector(browser, browser.open(f"{server.address}/inspect"))
    token = customers(server)
    port = server.address.rpartition(":")[2]
    server.stop()
    inspector.paste(token)
    inspector.says("No answer")
    assert inspector.shown("reasons") == "This server does not answer. Is it running, and is the network there?"
    assert inspector.shown("claims") == ""
    assert "ERR_CONNECTION_REFUSED" in "".join(browser.complaints())
    start(WATCHWORD__SERVER__PORT=port)
    inspector.page.press("again")
    inspector.says("Accepted")


def test_failures_are_told_in_words(inspector: Inspector) -> None:
    for status, retry_after, title, words in FAILURES:
        body = "<html>" if status == 502 else '{"request_id": "abc-1"}'
        told = inspector.page.run_async(
            "const [status, after, body, done] = arguments;"
            "import(document.querySelector('link[href$=\"/inspect-failure.js\"]').href).then(({failure}) =>"
            "done(failure(new Response(body, {status, headers: after ? {'Retry-After': after} : {}}), body)))",
            *(status, retry_after, body),
        )
        assert told[0] == title
        assert words in told[1]
