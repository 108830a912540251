"""What the shipped mails say: each kind in each language, as text and as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from server.mail.model import MailKind
from server.mail.rendering.samples import samples
from server.mail.rendering.template_files import names, shipped
from tests.mail.rendering.rendered import EVERY, LANGUAGES, ORIGIN, part, rendered

# What a mail says to people who have not asked for it.
NOT_YOU = {
    "en": ("If it was not", "If you did not ask", "If you do not know", "ignore"),
    "de": ("Waren Sie es nicht", "Haben Sie ihn nicht verlangt", "Wenn Sie nicht wissen", "nichts zu tun"),
}
# How a template language looks that was not filled in.
LEFT = re.compile(r"\{\{|\{%|\}\}|%\}|Undefined|None")


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def words(self) -> str:
        return " ".join("".join(self.text).split())


def test_there_is_a_template_of_each_kind_in_each_language_and_nothing_else() -> None:
    expected = {f"{kind}.{language}.txt" for kind in MailKind for language in LANGUAGES}
    assert set(shipped()) == expected | {"layout.txt", "layout.html"}
    assert set(shipped()) <= set(names())


@pytest.mark.parametrize(("kind", "language", "number"), EVERY)
def test_text_and_html_say_the_same(kind: MailKind, language: str, number: int) -> None:
    values = samples(kind)[number]
    message = rendered(kind, language, values)
    text, page = part(message, "plain"), Elements(part(message, "html"))
    words = " ".join(text.split()).removesuffix(" -- Example")
    link = f"{ORIGIN}{values['path']}" if "path" in values else ""
    if link:
        assert link in text.splitlines()
        label = text.splitlines()[text.splitlines().index(link) - 1]
        assert label.endswith(":")
        words = words.replace(f"{label} {link}", f"{label[:-1]} {link}")
    assert page.words() == f"{message['Subject']} Example {words}"
    assert re.findall(r"https?://\S+", text) == ([link] if link else [])
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ([link, link] if link else [])
    if "code" in values:
        assert values["code"] in text.splitlines()
        assert values["code"] in page.text
    assert not LEFT.search(text + page.words() + str(message["Subject"]))


@pytest.mark.parametrize(("kind", "language", "number"), EVERY)
def test_each_says_what_to_do_for_who_has_not_asked_for_it(kind: MailKind, language: str, number: int) -> None:
    text = part(rendered(kind, language, samples(kind)[number]), "plain")
    assert any(words in " ".join(text.split()) for words in NOT_YOU[language])


@pytest.mark.parametrize(("kind", "language", "number"), EVERY)
def test_the_text_fits_a_terminal_and_links_stay_whole(kind: MailKind, language: str, number: int) -> None:
    message = rendered(kind, language, samples(kind)[number])
    lines = part(message, "plain").splitlines()
    assert [line for line in lines if len(line) > 76 and not line.startswith(ORIGIN)] == []
    assert len(str(message["Subject"])) < 70
    # RFC 3676 section 4.3: what follows is no part of an answer.
    assert lines[-2:] == ["-- ", "Example"]


@pytest.mark.parametrize(("kind", "language", "number"), EVERY)
def test_nothing_is_loaded_from_anywhere_and_nothing_is_traced(kind: MailKind, language: str, number: int) -> None:
    page = part(rendered(kind, language, samples(kind)[number]), "html")
    elements = Elements(page)
    tags = {tag for tag, _ in elements.tags}
    assert tags.isdisjoint({"img", "link", "script", "style", "iframe", "object", "svg", "video", "form", "base"})
    attributes = [named for _, found in elements.tags for named in found]
    assert {"src", "background", "srcset", "action"}.isdisjoint(attributes)
    assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    html = next(found for tag, found in elements.tags if tag == "html")
    assert html["lang"] == language


def test_mails_to_addresses_that_nobody_has_confirmed_hold_nothing_that_a_stranger_chose() -> None:
    """Else anybody could send words of their own to anybody (OWASP: Forgot Password Cheat Sheet, content spoofing)."""
    chosen = {"username", "email", "user_agent", "ip"}
    for kind in (MailKind.CONFIRM_EMAIL, MailKind.ADDRESS_TAKEN, MailKind.INVITATION):
        assert all(chosen.isdisjoint(sample) for sample in samples(kind))


def test_a_mail_in_a_language_that_is_not_offered_is_in_the_first_one() -> None:
    for language in ("fr", "", "de-AT"):
        assert rendered(MailKind.TEST, language)["Content-Language"] == "en"
    assert rendered(MailKind.TEST, "de")["Content-Language"] == "de"
