from __future__ import annotations

import random

import pytest
from passlib.hash import bcrypt, bcrypt_sha256, pbkdf2_sha1, pbkdf2_sha256, pbkdf2_sha512, scrypt

from server.passwords import foreign
from server.passwords.encoding import decoded
from server.passwords.firebase import FirebaseParameters
from server.passwords.hasher import Hasher
from tests import foreign_hashes
from tests.foreign_hashes import ARGON2, CHEAP, DJANGO, OTHER_FORM, PASSWORD
from tests.passwords.conftest import Work
from tests.volume import IS_FULL, volume

HASHER = Hasher(4)
FIREBASE = FirebaseParameters(
    decoded(foreign_hashes.FIREBASE_SIGNER_KEY),
    decoded(foreign_hashes.FIREBASE_SALT_SEPARATOR),
    foreign_hashes.FIREBASE_ROUNDS,
    foreign_hashes.FIREBASE_MEM_COST,
).text_form(foreign_hashes.FIREBASE_SALT, foreign_hashes.FIREBASE_HASH)
HANDLERS = [
    bcrypt.using(rounds=4),
    bcrypt_sha256.using(rounds=4),
    bcrypt_sha256.using(rounds=4, version=1),
    pbkdf2_sha1.using(rounds=10),
    pbkdf2_sha256.using(rounds=10),
    pbkdf2_sha512.using(rounds=10),
    scrypt.using(rounds=4),
]


@pytest.mark.parametrize("name", CHEAP)
def test_a_hash_of_another_system_verifies_and_is_to_be_renewed(name: str) -> None:
    made = CHEAP[name]
    assert foreign.cost_problem(made) is None
    assert HASHER.verify(PASSWORD, made) is True
    for wrong in ("", PASSWORD + "x", PASSWORD[:-1], "another"):
        assert HASHER.verify(wrong, made) is False
    assert HASHER.needs_renewal(made)


@pytest.mark.parametrize("name", CHEAP)
def test_the_bytes_are_taken_as_they_came(name: str) -> None:
    assert HASHER.verify(OTHER_FORM, CHEAP[name]) is False


@pytest.mark.parametrize("name", DJANGO)
def test_what_django_makes_by_default_is_not_too_costly(name: str) -> None:
    assert foreign.cost_problem(DJANGO[name]) is None
    # A hasher of its own, here and below, since a dear hash makes every failure dear.
    assert Hasher(4).verify(PASSWORD, DJANGO[name]) is True


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.name)
def test_what_libpass_makes_verifies(handler: type[bcrypt]) -> None:
    made = handler.hash("imported password")
    assert foreign.cost_problem(made) is None
    assert HASHER.verify("imported password", made) is True
    assert HASHER.verify("imported passwore", made) is False


def test_the_published_example_of_firebase_verifies() -> None:
    hasher = Hasher(4)
    assert foreign.cost_problem(FIREBASE) is None
    assert hasher.verify(foreign_hashes.FIREBASE_PASSWORD, FIREBASE) is True
    assert hasher.verify("user2password", FIREBASE) is False
    assert hasher.verify("", FIREBASE) is False
    assert hasher.needs_renewal(FIREBASE)


def test_firebase_hashes_may_be_in_either_base64_alphabet() -> None:
    parameters = FirebaseParameters(decoded(foreign_hashes.FIREBASE_SIGNER_KEY), b"\x07", 8, 14)
    salt, made = (
        text.replace("+", "-").replace("/", "_").rstrip("=")
        for text in (foreign_hashes.FIREBASE_SALT, foreign_hashes.FIREBASE_HASH)
    )
    assert parameters.text_form(salt, made) == FIREBASE
    for broken in ("not base64!", "äää"):
        with pytest.raises(ValueError, match="base64"):
            parameters.text_form(broken, made)


def test_a_firebase_hash_of_nothing_fits_no_password() -> None:
    """An empty signer key makes an empty hash, whatever the password."""
    for made in ("$firebase-scrypt$m=1,r=1,ss=,sk=$$", FIREBASE[: FIREBASE.index("sk=")] + "sk=$AAAA$", FIREBASE[:-80]):
        assert foreign.cost_problem(made) == foreign.DAMAGED
        assert HASHER.verify("anything", made) is False


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("$2b$17$" + "." * 53, "bcrypt cost 17 is above 16"),
        ("$2b$99$" + "." * 53, "bcrypt cost 99"),
        ("bcrypt$$2b$31$" + "." * 53, "bcrypt cost 31"),
        ("bcrypt_sha256$$2b$31$" + "." * 53, "bcrypt cost 31"),
        ("$bcrypt-sha256$v=2,t=2b,r=18$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2", "18 is above 17"),
        ("$bcrypt-sha256$2b,17$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2", "17 is above 16"),
        (ARGON2["argon2id"].replace("m=128", "m=262145"), "Argon2 memory in KiB 262145 is above 262144"),
        (ARGON2["argon2i"].replace("m=128", "m=9999999999"), "Argon2 memory in KiB"),
        (ARGON2["argon2d"].replace("t=2", "t=32769"), "Argon2 memory times passes"),
        ("argon2" + ARGON2["argon2id"].replace("t=2", "t=9999999999"), "Argon2 memory times passes"),
        (CHEAP["pbkdf2"].replace("1000", "5000001"), "PBKDF2 iterations 5000001 is above 5000000"),
        (CHEAP["pbkdf2-sha512"].replace("1000", "9999999999"), "PBKDF2 iterations"),
        (CHEAP["django pbkdf2_sha256"].replace("1000", "5000001"), "PBKDF2 iterations"),
        (CHEAP["scrypt"].replace("ln=4", "ln=18"), "scrypt memory in bytes"),
        (CHEAP["scrypt"].replace("ln=4", "ln=31"), "scrypt memory in bytes"),
        (CHEAP["scrypt"].replace("p=1", "p=9999999999"), "scrypt memory in bytes"),
        (CHEAP["scrypt"].replace("ln=4", "ln=16").replace("p=1", "p=17"), "scrypt N times r times p"),
        (CHEAP["django scrypt"].replace("scrypt$16$", "scrypt$1048576$"), "scrypt memory in bytes"),
        (FIREBASE.replace("m=14", "m=18"), "scrypt memory in bytes"),
        (FIREBASE.replace("r=8", "r=999999"), "scrypt memory in bytes"),
    ],
)
def test_an_absurd_cost_is_refused_and_never_computed(made: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = foreign.cost_problem(made)
    assert problem is not None
    assert problem.startswith("the password hash is too costly: ")
    assert reason in problem
    computed: list[str] = []
    monkeypatch.setattr(foreign, "matches", lambda _, stored: computed.append(stored))
    monkeypatch.setattr(bcrypt_sha256, "verify", lambda _, stored: computed.append(stored))
    assert HASHER.verify(PASSWORD, made) is False
    # What an unknown user's password is compared with.
    assert computed == [HASHER.prepare().dummy]


@pytest.mark.parametrize(
    "made",
    [
        "$2b$16$" + "." * 53,
        "$bcrypt-sha256$v=2,t=2b,r=17$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
        ARGON2["argon2id"].replace("m=128,t=2", "m=262144,t=16"),
        CHEAP["pbkdf2-sha256"].replace("1000", "5000000"),
        CHEAP["scrypt"].replace("ln=4", "ln=17").replace("p=1", "p=8"),
        FIREBASE.replace("m=14", "m=17"),
    ],
)
def test_a_cost_at_its_limit_is_taken(made: str) -> None:
    assert foreign.cost_problem(made) is None


@pytest.mark.parametrize(
    "made",
    [
        "",
        "password",
        "!",
        "md5$salt$d41d8cd98f00b204e9800998ecf8427e",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2b$03$" + "." * 53,
        "$2b$12$" + "." * 52,
        "$2b$12$" + "." * 53 + "\n",
        ARGON2["argon2id"].replace("v=19", "v=16"),
        ARGON2["argon2id"].replace("v=19$", ""),
        ARGON2["argon2id"].replace("m=128", "m=8"),
        ARGON2["argon2id"].replace("t=2", "t=0"),
        ARGON2["argon2id"].replace("t=2", "t=٣"),
        ARGON2["argon2id"].rpartition("$")[0] + "$",
        CHEAP["pbkdf2"].replace("1000", "0"),
        CHEAP["pbkdf2"].replace("1000", "9" * 5000),
        CHEAP["pbkdf2-sha256"].replace("-sha256", "-sha512"),
        CHEAP["django pbkdf2_sha1"].replace("sha1", "sha256"),
        CHEAP["django scrypt"].replace("scrypt$16$", "scrypt$15$"),
        CHEAP["django scrypt"].replace("scrypt$16$", "scrypt$1$"),
        FIREBASE + "x" * 1000,
        *(CHEAP[name][:-1] for name in CHEAP if not name.startswith(("argon2", "django argon2", "django scrypt"))),
    ],
)
def test_what_is_no_hash_is_refused_and_nobodys(made: str) -> None:
    assert foreign.cost_problem(made) == foreign.DAMAGED
    assert HASHER.verify(PASSWORD, made) is False


# libpass warns of spare bits that are not zero.
@pytest.mark.filterwarnings("ignore::passlib.exc.PasslibHashWarning")
@pytest.mark.parametrize("made", [*CHEAP.values(), FIREBASE], ids=[*CHEAP, "firebase"])
def test_a_damaged_hash_lets_nobody_in_and_never_raises(made: str) -> None:
    hasher = Hasher(4)
    seed = random.Random(20_262)
    for _ in range(volume(60)):
        place = seed.randrange(len(made))
        other = seed.choice(["", "0", "9", "$", "=", ",", "A", "/", "é", "\0", "\ud800", made[:place]])
        assert hasher.verify("another password", made[:place] + other + made[place + 1 :]) is False
    for end in range(0, len(made), 7 if IS_FULL else 23):
        assert hasher.verify("another password", made[:end]) is False


@pytest.mark.parametrize("password", ["a\0b", "\ud800", "x" * 4096, "x" * 4097])
def test_a_password_that_a_kind_cannot_take_is_wrong(password: str) -> None:
    hasher = Hasher(4)
    for made in (*CHEAP.values(), FIREBASE):
        assert hasher.verify(password, made) is False


def test_hashes_of_one_cost_are_of_one_kind_and_others_are_not() -> None:
    made = [*CHEAP.values(), *DJANGO.values(), FIREBASE, Hasher(4).hash("x"), Hasher(5).hash("x")]
    assert len({foreign.kind_of(text) for text in made}) == len(made)
    assert foreign.kind_of(Hasher(4).hash("x")) == foreign.kind_of(Hasher(4).hash("y"))
    assert foreign.kind_of(ARGON2["argon2id"]) == foreign.kind_of(
        ARGON2["argon2id"].rpartition("$")[0] + "$" + "A" * 43
    )
    for no_hash in ("", "password", "$2b$17$" + "." * 53):
        assert foreign.kind_of(no_hash) is None


def test_a_check_that_fails_in_an_unforeseen_way_is_wrong_and_costs_a_hash(
    monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    def out_of_memory(*_: object) -> bool:
        raise MemoryError

    hasher = Hasher(8)
    usual = _seconds(hasher, None, work)
    monkeypatch.setattr(foreign, "matches", out_of_memory)
    assert hasher.verify(PASSWORD, ARGON2["argon2id"]) is False
    assert _seconds(hasher, ARGON2["argon2id"], work) == pytest.approx(usual, rel=0.02)


@pytest.mark.parametrize("made", [*CHEAP.values(), Hasher(4).hash("x")], ids=[*CHEAP, "own of lower cost"])
def test_a_wrong_password_for_a_cheaper_hash_costs_one_of_ours(made: str, work: Work) -> None:
    hasher = Hasher(9)
    usual = _seconds(hasher, None, work)
    assert _seconds(hasher, made, work) == pytest.approx(usual, rel=0.02)


def _seconds(hasher: Hasher, stored: str | None, work: Work) -> float:
    hasher.prepare()
    started = work.seconds
    assert hasher.verify("wrong", stored) is False
    return work.seconds - started
