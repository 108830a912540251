"""The page at /inspect: what it keeps, what it lets in, and whether it can be read, by whom and on what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.browser.inspector import Inspector, customers, with_payload
from tests.in_process import LocalServer

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

# What a script or the next user could find. The page itself is looked at apart.
LOOK_EVERYWHERE = """
const done = arguments[arguments.length - 1];
(async () => done({
  local: {...localStorage}, session: {...sessionStorage}, cookie: document.cookie, name: window.name,
  databases: await indexedDB.databases(), caches: await caches.keys(), state: history.state, search: location.search,
  hash: location.hash, workers: await navigator.serviceWorker.getRegistrations(),
}))();
"""
# WCAG 2.2, success criterion 1.4.3: text against what is behind it. What is transparent or disabled does not count.
CONTRASTS = """
const numbers = (color) => {
  const [r, g, b, a = 1] = color.match(/[-\\d.]+(e-?\\d+)?/g).map(Number);
  return color.startsWith("color(") ? [r, g, b, a] : [r / 255, g / 255, b / 255, a];
};
const over = ([r, g, b, a], below) => [r, g, b].map((part, index) => part * a + below[index] * (1 - a));
const light = (color) => {
  const [r, g, b] = color.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const ground = (element) => {
  if (!element) return dark ? [18 / 255, 18 / 255, 18 / 255] : [1, 1, 1];
  return over(numbers(getComputedStyle(element).backgroundColor), ground(element.parentElement));
};
return [...document.querySelectorAll("body *")].flatMap((element) => {
  const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const seen = element.checkVisibility({visibilityProperty: true}) && !element.closest(".unseen");
  const color = numbers(getComputedStyle(element).color);
  if (!text || !seen || element.disabled || color[3] === 0) return [];
  const behind = element.closest("#colours") ? ground(document.getElementById("token")) : ground(element);
  const [one, two] = [light(over(color, behind)), light(behind)].sort((a, b) => b - a);
  return [[`${element.tagName} ${element.id} ${element.className} ${element.textContent}`,
    (one + 0.05) / (two + 0.05)]];
});
"""


def test_what_is_in_a_token_is_shown_as_text_and_does_nothing(inspector: Inspector, server: LocalServer) -> None:
    script = '<img src=x onerror="window.owned = 1"><script>window.owned = 2</script>'
    others = {script: [script], "__proto__": {"x": "\ud800"}, "empty": "", "deep": json.loads("[" * 40 + "]" * 40)}
    role = "\u202eadmin\u0007\u200b"
    token = with_payload(customers(server), username=script, role=role, number="exactly", **others)
    inspector.paste(token)
    inspector.says("Not valid")
    claims = inspector.members("claims")
    assert claims["username"] == script
    assert claims["role"] == "U+202EadminU+0007U+200B"
    assert json.loads(claims[script]) == [script]
    assert '"x": "' in claims["__proto__"]
    assert claims["number"] == "12345678901234567890123"
    assert "(nested too deeply)" in claims["deep"]
    assert claims["empty"] == "(empty)"
    assert inspector.page.run(
        "return [window.owned, document.querySelectorAll('main img, #result script').length, {}.x]"
    ) == [None, 0, None]


def test_the_policy_would_stop_what_gets_in_all_the_same(inspector: Inspector, browser: Browser) -> None:
    outcome = inspector.page.run(
        "try { document.getElementById('note').innerHTML = '<b>x</b>'; } catch (error) { return error.name; }"
    )
    assert outcome == "TypeError"
    assert "TrustedHTML" in "".join(browser.complaints())


def test_nothing_is_left_behind(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    length = inspector.page.run("return history.length")
    inspector.paste(token)
    inspector.says("Accepted")
    found = inspector.page.run_async(LOOK_EVERYWHERE)
    assert not any(found.values()), found
    assert inspector.page.run("return [location.href, history.length]") == [f"{server.address}/inspect", length]
    inspector.page.reload()
    assert (inspector.field(), inspector.shown("result")) == ("", "")
    inspector.paste(token)
    inspector.says("Accepted")
    inspector.page.run("document.querySelector('a[href=\"/docs\"]').click()")
    inspector.page.until(lambda: inspector.page.run("return location.pathname") == "/docs", "the link is followed")
    inspector.page.run("history.back()")
    inspector.page.until(lambda: inspector.page.run("return location.pathname") == "/inspect", "it goes back")
    assert (inspector.field(), inspector.shown("result")) == ("", "")
    assert token not in inspector.page.run("return document.documentElement.outerHTML")


def test_clear_forgets_and_leads_back_to_the_field(inspector: Inspector, server: LocalServer) -> None:
    token = customers(server)
    inspector.paste(token)
    inspector.says("Accepted")
    inspector.page.press("clear")
    assert (inspector.field(), inspector.text("colours"), inspector.shown("result")) == ("", "", "")
    assert inspector.shown("empty")
    assert inspector.page.run("return document.activeElement.id") == "token"
    assert inspector.page.run("return [...document.querySelectorAll('button')].map((b) => b.disabled)") == [True, True]
    inspector.page.until(lambda: inspector.text("announcer") == "", "nothing is announced")


def test_the_keyboard_goes_through_the_page_in_order(inspector: Inspector, server: LocalServer) -> None:
    inspector.paste(customers(server))
    inspector.says("Accepted")
    inspector.page.run("const top = document.querySelector('header nav'); top.tabIndex = -1; top.focus()")
    order = []
    for _ in range(6):
        inspector.press("Tab", "Tab", 9)
        order.append(inspector.page.run("const e = document.activeElement; return e.id || e.textContent"))
    assert order == ["API", "Inspect a token", "token", "again", "clear", "open-summary"]
    tree = inspector.cdp("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]}
    for part in (("textbox", "Paste an access token"), ("button", "Clear"), ("button", "Check again"),
                 ("heading", "Accepted"), ("region", "Claims"), ("region", "May call"), ("timer", "")):  # fmt: skip
        assert part in named
    [status] = [node for node in tree if node.get("role", {}).get("value") == "status"]
    properties = {entry["name"]: entry["value"].get("value") for entry in status["properties"]}
    assert (properties["live"], properties["atomic"]) == ("polite", True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_it_can_be_read_in_light_and_dark_and_on_a_phone(
    inspector: Inspector, server: LocalServer, scheme: str, width: int
) -> None:
    inspector.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    inspector.cdp("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1, mobile=False)
    good = customers(server)
    where = (
        "return ['token', 'again', 'clear', 'privacy'].map((n) => document.getElementById(n).getBoundingClientRect().y)"
    )
    if width > 700:
        places = inspector.page.run(where)
    assert_readable(inspector)
    for text, word in (
        (good, "Accepted"),
        (with_payload(good, role="\u202e", x="y" * 900), "Not valid"),
        ("wwr_AZqyXwOpfByb", "Not looked at"),
    ):
        inspector.paste(text)
        inspector.says(word)
        assert_readable(inspector)
        if width > 700:
            assert inspector.page.run(where) == places, "nothing jumps"


def assert_readable(inspector: Inspector) -> None:
    contrasts = inspector.page.run(CONTRASTS)
    assert len(contrasts) > 8
    assert [found for found in contrasts if found[1] < 4.5] == []
    assert inspector.page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
