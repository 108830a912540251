from __future__ import annotations

import itertools
import string
import unicodedata

import pytest

from server.users.names import SEARCH_TEXT_LENGTH, search_form, username_key, username_of

# What usernames were made of before other scripts were allowed.
ALLOWED_BEFORE = string.ascii_letters + string.digits + "._@+-"


def test_names_of_ascii_have_the_key_that_they_have_always_had() -> None:
    """So no key in a store has to be made anew."""
    for length in (1, 2):
        for characters in itertools.product(ALLOWED_BEFORE, repeat=length):
            name = "".join(characters)
            assert (username_of(name), username_key(name)) == (name, name.casefold())
    for name in (ALLOWED_BEFORE, "x" * 128, "A" * 128, "Pasindu@Example.com"):
        assert (username_of(name), username_key(name)) == (name, name.casefold())


@pytest.mark.parametrize(
    ("text", "shown", "key"),
    [
        ("LAK", "LAK", "lak"),
        ("\uff2c\uff41\uff4b", "Lak", "lak"),
        ("E\u0301mile", "\u00c9mile", "\u00e9mile"),
        ("\u212aevin", "Kevin", "kevin"),
        ("Straße", "Straße", "straße"),
        ("STRAẞE", "STRAẞE", "straße"),
        ("ΣΊΣΥΦΟΣ", "ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Иван", "Иван", "иван"),
        ("İpek", "İpek", "i\u0307pek"),
        ("山田太郎", "山田太郎", "山田太郎"),
        ("山田Taro", "山田Taro", "山田taro"),
        ("නිශාන්තන්", "නිශාන්තන්", "නිශාන්තන්"),
        ("שלום", "שלום", "שלום"),
        ("o'neil", "o'neil", "o'neil"),
        ("50%", "50%", "50%"),
    ],
)
def test_a_name_is_kept_with_its_case_and_compared_without(text: str, shown: str, key: str) -> None:
    assert (username_of(text), username_key(text)) == (shown, key)


@pytest.mark.parametrize("text", ["Straße", "STRASSE", "strasse"])
def test_case_is_mapped_and_not_folded(text: str) -> None:
    assert (username_key(text) == username_key("strasse")) is (text != "Straße")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Give a name"),
        ("two words", "Spaces are not allowed"),
        ("a\u00a0b", "The character U+00A0 can't be in a username"),
        ("a\nb", "Control characters and line breaks are not allowed"),
        ("a\0", "Control characters and line breaks are not allowed"),
        ("a\x1b[31m", "Control characters and line breaks are not allowed"),
        ("a\u2028b", "The character U+2028 can't be in a username"),
        ("a\u202eb", "The character U+202E can't be in a username"),
        ("a\u200bb", "The character U+200B can't be in a username"),
        ("a\u200db", "The character U+200D can't be in a username"),
        ("\ud800", "The character U+D800 can't be in a username"),
        ("😀", "The character U+1F600 can't be in a username"),
        ("\ufb01x", "The character U+FB01 can't be in a username"),
        ("\u0378", "The character U+0378 can't be in a username"),
        ("a\u05d0", "Letters that are written from right to left can't be mixed with others (RFC 5893)"),
        ("x" * 129, "Use at most 128 characters"),
        ("x" * 100_000, "Use at most 128 characters"),
        ("\u0958" * 65, "Use at most 128 characters"),
        ("山" * 86, "Use at most 256 bytes in UTF-8"),
        ("p\u0430ypal", "Use letters of one script: these have letters that look alike"),
        ("\u03bfscar", "Use letters of one script: these have letters that look alike"),
        ("\u13a0da", "Use letters of one script: these have letters that look alike"),
        ("\u0438\u03b1", "Use letters of one script: these have letters that look alike"),
    ],
)
def test_what_can_not_be_a_username_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^[A-Z]") as caught:
        username_of(text)
    assert str(caught.value) == problem
    assert username_key(text) is None


def test_the_limits_are_reached() -> None:
    assert username_key("x" * 128) == "x" * 128
    assert username_key("山" * 85) == "山" * 85
    # 128 letters, each written as two characters.
    assert username_of("e\u0301" * 128) == "\u00e9" * 128


def test_the_key_of_a_key_and_of_the_form_shown_is_the_key() -> None:
    """So one login reaches one account: for all characters that some mapping changes, and every 40th of the others."""
    accepted = 0
    for code in range(0x110000):
        character = chr(code)
        if code % 40 and character == character.lower() == unicodedata.normalize("NFKC", character):
            continue
        key = username_key(f"a{character}b")
        if key is not None:
            accepted += 1
            assert username_key(key) == username_key(username_of(f"a{character}b")) == key, hex(code)
            assert all(unicodedata.category(part)[0] not in "CZ" for part in key), hex(code)
    assert accepted > 4000


@pytest.mark.parametrize(
    ("text", "form"),
    [("Ünal", "ünal"), ("U\u0308NAL", "ünal"), ("STRASSE Straße", "strasse strasse"), ("\uff21\ufb01", "afi")],
)
def test_what_is_searched_has_no_case_and_one_form(text: str, form: str) -> None:
    assert search_form(text) == form
    assert search_form(form) == form


def test_what_is_searched_has_an_end() -> None:
    assert len(search_form("\ufdfa" * 200)) == SEARCH_TEXT_LENGTH
