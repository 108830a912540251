from __future__ import annotations

import pytest

from server.passwords.policy import check_new_password

LENGTH = "Use at least 10 characters"
VARIETY = "Use more than a few different characters"
USERNAME = "Do not use your username"


def wrong_with(password: str, username: str = "lak") -> list[str]:
    return [message.split(";")[0].rstrip(".") for message in check_new_password(password, username, 10)]


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "abcde67890", "සිංහල මුරපදය", "密码是一只会飞的猫呀", "p" * 500 + "qrst", "     abcd\0\n"],
)
def test_length_and_some_variety_are_enough(password: str) -> None:
    assert wrong_with(password) == []


@pytest.mark.parametrize(
    ("password", "problems"),
    [
        ("", [LENGTH, VARIETY]),
        ("abcdefghi", [LENGTH]),
        ("abcdefghij", []),
        ("abcdabcdabcd", [VARIETY]),
        ("abcdeabcde", []),
        ("aaaa", [LENGTH, VARIETY]),
    ],
)
def test_the_limits_are_where_they_are_said_to_be(password: str, problems: list[str]) -> None:
    assert wrong_with(password) == problems


@pytest.mark.parametrize(
    ("password", "fits"),
    [("abcde" * 819 + "f", True), ("abcde" * 819 + "fg", False), ("\ufdfaabcde" * 200, False)],
)
def test_a_password_may_have_4096_bytes(password: str, fits: bool) -> None:
    assert ("Use at most 4096 bytes" in wrong_with(password)) is not fits


def test_the_length_asked_for_is_the_configured_one_and_is_named() -> None:
    assert check_new_password("abcdefghijk", "lak", 12) == [
        "Use at least 12 characters; several words are easy to remember."
    ]
    assert check_new_password("abcdefghijkl", "lak", 12) == []


@pytest.mark.parametrize("password", ["e\u0301a\u0301o\u0301i\u0301u\u0301", "ééééáóíú"])
def test_a_letter_and_its_accent_are_one_character(password: str) -> None:
    assert wrong_with(password) == [LENGTH]


def test_forms_of_one_letter_are_no_variety() -> None:
    assert wrong_with("a\uff41\U0001d41a\U0001d44e\U0001d482\u24d0aaaaaa") == [VARIETY]


@pytest.mark.parametrize("password", ["sahan.perera", "SAHAN.Perera", "  sahan.perera\t", "\uff53ahan.perera"])
def test_the_username_is_no_password_however_it_is_written(password: str) -> None:
    assert wrong_with(password, "Sahan.Perera") == [USERNAME]


def test_a_password_that_merely_contains_the_username_is_taken() -> None:
    assert wrong_with("sahan.perera likes tea", "sahan.perera") == []
