from __future__ import annotations

import base64
import hashlib
import hmac
import random

import bcrypt
import pytest
from passlib.hash import bcrypt_sha256

from server.passwords.hasher import LEARNED_KINDS, Hasher
from tests.passwords.conftest import Work

COST = 4
HASHER = Hasher(COST)
# The example in passlib's documentation of the scheme.
PUBLISHED = "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
PASSWORDS = [
    "correct horse battery",
    "",
    "x" * 72,
    "x" * 4000,
    "before\0after",
    "පරිශීලක මුරපදය",
    "密码是一只会飞的猫",
    "👩‍🚀🔑🐎",
    "\ud800 alone",
]


def by_hand(password: bytes) -> str:
    """The scheme as it is published: HMAC-SHA-256 keyed with the salt, in base64, is what bcrypt hashes."""
    salt = bcrypt.gensalt(COST)[7:]
    digest = base64.b64encode(hmac.digest(salt, password, hashlib.sha256))
    return f"$bcrypt-sha256$v=2,t=2b,r={COST}${salt.decode()}${bcrypt.hashpw(digest, b'$2b$04$' + salt)[29:].decode()}"


def holds_by_hand(password: bytes, text: str) -> bool:
    _, scheme, parameters, salt, checksum = text.split("$")
    assert (scheme, parameters) == ("bcrypt-sha256", f"v=2,t=2b,r={COST}")
    digest = base64.b64encode(hmac.digest(salt.encode(), password, hashlib.sha256))
    return bcrypt.checkpw(digest, f"$2b$0{COST}${salt}{checksum}".encode())


def plain(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode()


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_any_length_and_script_is_known_again(password: str) -> None:
    made = HASHER.hash(password)
    assert HASHER.verify(password, made)
    assert not HASHER.verify(password + "x", made)
    assert not HASHER.verify(password[:-1] if password else "y", made)


@pytest.mark.parametrize("password", ["x" * 4097, "é" * 4096, "\ufdfa" * 300])
def test_a_password_that_is_too_long_to_set_is_wrong(password: str) -> None:
    """Not cut: its beginning may be the password of somebody."""
    for stored in (None, "", HASHER.hash("x" * 4096), by_hand(b"password"), plain(b"password")):
        assert HASHER.verify(password, stored) is False
    assert HASHER.verify("x" * 4096, HASHER.hash("x" * 4096)) is True


def test_each_hash_has_a_salt_of_its_own() -> None:
    assert HASHER.hash("correct horse battery") != HASHER.hash("correct horse battery")


def test_the_published_example_of_the_scheme_verifies() -> None:
    # A hasher of its own, since a dear hash makes every failure dear.
    hasher = Hasher(COST)
    assert hasher.verify("password", PUBLISHED)
    assert not hasher.verify("Password", PUBLISHED)


@pytest.mark.parametrize("password", ["correct horse battery", "y" * 500, "nul\0inside", "密码是一只会飞的猫"])
def test_hashes_are_exchanged_with_the_bare_definition(password: str) -> None:
    assert HASHER.verify(password, by_hand(password.encode()))
    assert holds_by_hand(password.encode(), HASHER.hash(password))
    assert not holds_by_hand(b"another", HASHER.hash(password))


def test_hashes_are_exchanged_with_libpass() -> None:
    assert HASHER.verify("correct horse battery", bcrypt_sha256.using(rounds=COST).hash("correct horse battery"))
    assert bcrypt_sha256.verify("correct horse battery", HASHER.hash("correct horse battery"))


def test_passwords_that_agree_in_72_bytes_are_different() -> None:
    made = HASHER.hash("x" * 72 + "one")
    assert not HASHER.verify("x" * 72 + "two", made)
    assert not HASHER.verify("x" * 72, made)


def test_what_follows_a_nul_counts() -> None:
    made = HASHER.hash("before\0after")
    assert not HASHER.verify("before", made)
    assert not HASHER.verify("before\0afters", made)


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ("Zoë the cat", "Zoe\u0308 the cat"),
        ("\uff50\uff41\uff53\uff53word", "password"),
        ("\u212bngström", "\xe5ngström".capitalize()),
    ],
)
def test_the_same_characters_from_another_keyboard_are_the_same_password(chosen: str, typed: str) -> None:
    assert chosen != typed
    assert HASHER.verify(typed, HASHER.hash(chosen))
    assert HASHER.verify(chosen, HASHER.hash(typed))


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
def test_plain_bcrypt_of_another_system_verifies(prefix: str) -> None:
    made = prefix + plain(b"imported password")[4:]
    assert HASHER.verify("imported password", made)
    assert not HASHER.verify("imported passwore", made)


def test_plain_bcrypt_is_compared_as_it_was_made_cut_at_72_bytes() -> None:
    made = plain(b"x" * 72)
    assert HASHER.verify("x" * 72 + "anything", made)
    assert not HASHER.verify("x" * 71, made)


def test_plain_bcrypt_of_a_long_password_that_is_cut_inside_a_character_verifies() -> None:
    password = "x" + "é" * 40
    assert HASHER.verify(password, plain(password.encode()[:72]))


def test_plain_bcrypt_takes_the_characters_as_they_were_typed() -> None:
    made = plain("Zoe\u0308".encode())
    assert HASHER.verify("Zoe\u0308", made)
    assert not HASHER.verify("Zoë", made)


@pytest.mark.parametrize("password", ["imported\0password", "imported\ud800"])
def test_a_password_that_plain_bcrypt_cannot_take_is_wrong(password: str) -> None:
    assert not HASHER.verify(password, plain(b"imported"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "password",
        "$",
        "$2b$",
        "$2b$04$",
        "$2b$04$short",
        "$2b$99$" + "." * 53,
        "$2b$xx$" + "." * 53,
        "$2x$04$" + "." * 53,
        "$2b$04$" + "é" * 53,
        "$2b$04$" + "." * 400,
        "$bcrypt-sha256$",
        "$bcrypt-sha256$v=2",
        "$bcrypt-sha256$v=2,t=2b,r=4$$",
        "$bcrypt-sha256$v=2,t=2b,r=4$n79VH.0Q2TMWmt3Oqt9uku",
        "$bcrypt-sha256$v=2,t=2b,r=4$n79VH.0Q2TMWmt3Oqt9uku$",
        "$bcrypt-sha256$v=2,t=2b,r=04$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$v=9,t=2b,r=4$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$v=2,t=2z,r=4$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$bcrypt-sha256$v=2,t=2b,r=99$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g",
        "\0",
        "\ud800",
    ],
)
def test_what_is_no_hash_is_nobodys(stored: str) -> None:
    assert Hasher(COST).verify("password", stored) is False


# libpass warns of spare bits that are not zero.
@pytest.mark.filterwarnings("ignore::passlib.exc.PasslibHashWarning")
@pytest.mark.parametrize("good", [by_hand(b"password"), plain(b"password")], ids=["own", "plain"])
def test_a_damaged_hash_lets_nobody_in_and_never_raises(good: str) -> None:
    seed = random.Random(20_261)
    # The two digits of the cost stay: another cost is no damage, and costs its time.
    places = [place for place in range(len(good)) if not good[:place].endswith(("r=", "$2b$", "$2b$0"))]
    for _ in range(300):
        place = seed.choice(places)
        damaged = good[:place] + chr(seed.choice([0, 32, 36, 46, 57, 233, 0xD800, 0x1F511])) + good[place + 1 :]
        assert HASHER.verify("another password", damaged) is False


def test_a_user_without_a_password_has_none_that_fits() -> None:
    for password in ("", "no user has this password", "None"):
        assert HASHER.verify(password, None) is False


@pytest.mark.parametrize("stored", [None, "", "$2b$08$broken", "$bcrypt-sha256$broken"])
def test_an_unknown_user_costs_as_much_as_a_known_one(stored: str | None, work: Work) -> None:
    hasher = Hasher(8)
    made = hasher.hash("correct horse battery")
    assert _seconds(hasher, stored, work) == pytest.approx(_seconds(hasher, made, work), rel=0.02)


@pytest.mark.parametrize("learned", [True, False], ids=["at the start", "by a login"])
def test_with_a_dearer_hash_in_the_store_every_failure_costs_as_much(learned: bool, work: Work) -> None:
    hasher, dearer = Hasher(4), Hasher(8).hash("correct horse battery")
    hasher.prepare()
    cheap = _seconds(hasher, None, work)
    if learned:
        for one in hasher.unknown_kinds([plain(b"x"), dearer, dearer]):
            hasher.learn(one)
    else:
        assert hasher.verify("correct horse battery", dearer)
    for stored in (None, "", hasher.hash("x"), plain(b"x"), dearer):
        assert _seconds(hasher, stored, work) == pytest.approx(16 * cheap, rel=0.1)
    assert _seconds(hasher, None, work) == pytest.approx(_seconds(hasher, dearer, work), rel=0.02)


def test_the_right_password_costs_what_its_hash_costs(work: Work) -> None:
    hasher, dearer = Hasher(4), Hasher(9).hash("correct horse battery")
    own = hasher.hash("correct horse battery")
    hasher.learn(dearer)
    started = work.seconds
    assert hasher.verify("correct horse battery", own)
    assert work.seconds - started < _seconds(hasher, own, work) / 30


def test_one_hash_is_looked_at_for_each_kind_that_is_not_known() -> None:
    hasher = Hasher(4)
    other, another = Hasher(5).hash("x"), Hasher(6).hash("x")
    no_hashes = ["", "no hash", "$2b$31$" + "." * 53, "$bcrypt-sha256$v=2,t=2b,r=31$$"]
    assert hasher.unknown_kinds([*no_hashes, other, another, other, hasher.hash("x")]) == [other, another]
    hasher.learn(other)
    assert hasher.unknown_kinds([other, another]) == [another]


def test_a_store_in_which_each_hash_is_of_a_kind_of_its_own_is_not_looked_through() -> None:
    varied = [f"$pbkdf2-sha256${rounds}$rhXi3PufUwrB.J.TEqIUwg$Go3MepiW8hSv/tcvAcpTZwDdXZCM1selXz/KaFisXRE"
              for rounds in range(1000, 2000)]  # fmt: skip
    assert len(Hasher(4).unknown_kinds(varied)) == LEARNED_KINDS


def _seconds(hasher: Hasher, stored: str | None, work: Work) -> float:
    hasher.prepare()
    started = work.seconds
    hasher.verify("wrong", stored)
    return work.seconds - started


def test_a_hash_of_a_lower_cost_is_to_be_renewed() -> None:
    lower, same, higher = (Hasher(cost).hash("password") for cost in (4, 5, 6))
    assert [Hasher(5).needs_renewal(made) for made in (lower, same, higher)] == [True, False, False]


def test_plain_bcrypt_is_to_be_renewed_whatever_its_cost() -> None:
    assert HASHER.needs_renewal(bcrypt.hashpw(b"password", bcrypt.gensalt(6)).decode())
