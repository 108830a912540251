"""What an e-mail address is, and which two are the same."""

from __future__ import annotations

import pytest

from server.emails.address import ADDRESS_LENGTH, address_key, address_keys, address_of, check_spelling, throttle_name
from server.users.names import USERNAME_LENGTH, username_key, username_of

LONG_DOMAIN = ".".join(["b" * 60, "c" * 60, "d" * 60])


def of_length(length: int) -> str:
    local = "a" * (length - len(LONG_DOMAIN) - len("@.store"))
    return f"{local}@{LONG_DOMAIN}.store"


@pytest.mark.parametrize(
    ("text", "kept", "key"),
    [
        ("Lak@Example.COM", "Lak@example.com", "lak@example.com"),
        ("lak+shop@example.com", "lak+shop@example.com", "lak+shop@example.com"),
        ("o'brien@example.com", "o'brien@example.com", "o'brien@example.com"),
        ("lak@bücher.example", "lak@bücher.example", "lak@xn--bcher-kva.example"),
        ("lak@xn--bcher-kva.example", "lak@bücher.example", "lak@xn--bcher-kva.example"),
        ("lak@XN--BCHER-KVA.Bücher.example", "lak@bücher.bücher.example", "lak@xn--bcher-kva.xn--bcher-kva.example"),
        ("иван@пример.example", "иван@пример.example", "иван@xn--e1afmkfd.example"),
        # The two ways to write an accent, fullwidth letters, a ligature: the same when compared.
        ("re\u0301ne@example.com", "réne@example.com", "réne@example.com"),
        ("\uff4cak@example.com", "\uff4cak@example.com", "lak@example.com"),
        ("\ufb01n@example.com", "\ufb01n@example.com", "fin@example.com"),
        ("lak@example\u3002com", "lak@example.com", "lak@example.com"),
    ],
)
def test_an_address_has_a_form_to_show_and_a_key(text: str, kept: str, key: str) -> None:
    assert (address_of(text), address_key(text)) == (kept, key)
    # What is kept is an address again, and the same one.
    assert (address_of(kept), address_key(kept)) == (kept, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lak",
        "@",
        "lak@",
        "@example.com",
        "lak@example",
        "lak@localhost",
        "lak@example..com",
        "lak@-example.com",
        "lak@example.com.",
        ".lak@example.com",
        "lak.@example.com",
        "lak@lak@example.com",
        "lak@@example.com",
        '"lak"@example.com',
        '"lak p"@example.com',
        "lak@[192.0.2.1]",
        # Python's email package makes `To: a`, line break, `Bcc: evil` of it (CVE-2024-6923, CWE-93).
        "=?utf-8?q?a=0D=0ABcc=3Aevil?=@example.com",
        "lak@192.0.2.1",
        "Lak <lak@example.com>",
        "lak @example.com",
        " lak@example.com",
        "lak@example.com\n",
        "lak\0@example.com",
        "lak\u200b@example.com",
        "lak\u202e@example.com",
        "lak@exa\u00admple.com",
        "\ud800@example.com",
        "lak\uff20example.com",
        # Cyrillic letters that look like Latin ones, among Latin ones.
        "p\u0430ypal@example.com",
        "lak@p\u0430ypal.example",
        of_length(ADDRESS_LENGTH + 1),
        "\ufdfa" * 60 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "lak@" * 100_000,
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    assert address_key(text) is None
    with pytest.raises(ValueError, match=r".") as refused:
        address_of(text)
    # It becomes the message of a field: a line that can be printed, whatever was sent.
    assert str(refused.value).isprintable()
    assert not str(refused.value).endswith(".")
    assert len(str(refused.value)) < 300


def test_254_characters_are_an_address() -> None:
    assert address_of(of_length(ADDRESS_LENGTH)) == of_length(ADDRESS_LENGTH)


@pytest.mark.parametrize("label", ["b" * 64, "".join(map(chr, range(0x4E00, 0x4E00 + 240)))])
def test_a_long_label_is_refused_before_it_costs_time(label: str) -> None:
    with pytest.raises(ValueError, match="Use at most 63 characters between two dots"):
        address_of(f"lak@{label}.com")
    assert address_of(f"lak@{'b' * 63}.com")


def test_a_username_that_is_spelled_like_an_address_has_one_of_its_keys() -> None:
    for text in ("Lak@Example.com", "lak@bücher.example", "lak@xn--bcher-kva.example", "\uff4cak@example.com"):
        check_spelling(text)
        assert username_key(text) in address_keys(text)
    # No address, no username, and an address that is too long for a username.
    for text in ("lak", "lak@office", "a b", "lak@lak@example.com", of_length(USERNAME_LENGTH + 1)):
        check_spelling(text)


@pytest.mark.parametrize("text", ["lak@xn--bcher-kva.bücher.example", "lak@bücher.xn--bcher-kva.example"])
def test_a_new_username_does_not_mix_both_forms_of_a_domain(text: str) -> None:
    assert username_of(text) == text
    with pytest.raises(ValueError, match=r"Write this address as lak@bücher\.bücher\.example"):
        check_spelling(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Lak", "lak"),
        ("not a name", "not a name"),
        ("LAK@Example.com", "lak@example.com"),
        ("\U0001d425ak@example.com", "lak@example.com"),
        ("lak\uff20example.com", "lak@example.com"),
        ("lak@bücher.example", "lak@xn--bcher-kva.example"),
        ("lak@xn--bcher-kva.example", "lak@xn--bcher-kva.example"),
    ],
)
def test_attempts_at_an_address_are_counted_together_however_it_is_spelled(text: str, name: str) -> None:
    assert throttle_name(text) == name
