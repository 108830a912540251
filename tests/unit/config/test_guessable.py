"""Which secrets are refused though they are long, and that none is that was drawn at random."""

from __future__ import annotations

import base64
import random
import string
import uuid
from collections.abc import Callable
from importlib.resources import files

import pytest

from server.config.guessable import packed, plain_reason, reason_to_guess
from tests.volume import volume

# Of jwt.secrets.list: some that look random, and some that say something. The last two are from elsewhere.
PUBLISHED = (
    "ba5a9914-f2f5-4552-b281-2afffc4e2a3a",
    "lRXuR1lqxCe3I6ro9nDYrUsWT8PTeFQsazfqX7Ye4qKft2jZsOB6sw73z6oelKEY",
    "!RCR#hJFp*d8nHUZ@U79vC*HndVg292phyZ#5^Xb",
    "_5xlnqfkob0qob2Nxwvz4qWpezt46cnTsLQtGwN1BGc",
    "d859509273b3f89381f664760e6951336fc488d4f17fd2d26f76d2d6fe681aef",
    "my_very_long_and_safe_secret_key",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "The JSON Web Token Secret still needs to be configured...",
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "SecretKey012345678901234567890123456789012345678901234567890123456789",
)
# In none of the lists.
PLACEHOLDERS = (
    "change-me-please-this-is-not-secure",
    "CHANGE_ME_1234567890_CHANGE_ME!!",
    "your-secret-key-here-12345678901",
    "Th1s1sMyS3cr3tK3yF0rJwtT0k3ns!!!",
    "y0ur_s3cr3t_k3y_h3r3_ch4ng3_m3_n0w",
    "my-jwt-secret-key-12345678901234567890",
    "default-secret-default-secret-32b",
    "SECRET-KEY-2024-PRODUCTION-API-01",
    "k8s-placeholder-secret-value-xxxxx",
    "<your-secret-here-at-least-32-chars>",
    "ThisIsAVerySecretKeyThatNobodyKnows",
    "ein-sehr-langes-und-sicheres-geheimnis",
    "esta-es-mi-clave-secreta-super-segura",
    "ma-cl\u00e9-secr\u00e8te-tr\u00e8s-longue-et-s\u00fbre",
    "\u0441\u0435\u043a\u0440\u0435\u0442\u043d\u044b\u0439-\u043a\u043b\u044e\u0447-\u0434\u043b\u044f-\u0442\u043e\u043a\u0435\u043d\u043e\u0432",
    "the quick brown fox jumps over the lazy dog",
    "correct horse battery staple forever garden window paper",
)
PATTERNS = (
    "QWERTYUIOPASDFGHJKLZXCVBNM123456",
    "!QAZ2wsx#EDC4rfv%TGB6yhn&UJM8ik,",
    "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
    "hunter2hunter2hunter2hunter2hunter2",
    "0123456789abcdefghijklmnopqrstuv",
    "00000000-0000-0000-0000-000000000000",
    bytes(range(32)).hex(),
    base64.b64encode(bytes(range(32))).decode(),
    base64.b64encode(bytes(32)).decode(),
)


@pytest.mark.parametrize("secret", [*PUBLISHED, *PLACEHOLDERS, *PATTERNS])
def test_a_secret_that_others_have_or_guess_is_refused(secret: str) -> None:
    assert reason_to_guess(secret) is not None


def leet(text: str) -> str:
    return text.translate(str.maketrans("oeastOEAST", "0345703457"))


VARIATIONS: dict[str, Callable[[str], str]] = {
    "other case": str.swapcase,
    "capitals": str.upper,
    "white space": lambda text: f" {text}\n",
    "a year": lambda text: f"{text}2024",
    "a number before and a sign behind": lambda text: f"1{text}!",
    "leet": leet,
    "other separators": lambda text: text.replace("-", "_").replace(" ", "."),
    "twice": lambda text: text + text,
    "repeated to a length": lambda text: (text * 3)[: 2 * len(text) + 5],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal with 0x": lambda text: f"0x{text.encode().hex().upper()}",
    "base64 of hexadecimal": lambda text: base64.b64encode(text.encode().hex().encode()).decode(),
}


@pytest.mark.parametrize("variation", VARIATIONS)
def test_another_spelling_of_such_a_secret_is_refused(variation: str) -> None:
    passed = [
        secret for secret in (*PUBLISHED, *PLACEHOLDERS) if reason_to_guess(VARIATIONS[variation](secret)) is None
    ]
    assert passed == []


@pytest.mark.parametrize(
    "short", ["mysupersecretkey", "youraccesstokensecret", "YourRefreshTokenSecret", "changemechangeme"]
)
def test_a_short_one_is_refused_when_it_was_made_long(short: str) -> None:
    for made in (
        short * 4,
        base64.b64encode(short.encode()).decode(),
        short.encode().hex(),
        f"{short}-{short.upper()}",
    ):
        assert reason_to_guess(made.ljust(32, "=")) is not None


RANDOM = random.Random(20_000)


def drawn(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choices(alphabet, k=length))


FORMS: dict[str, Callable[[], str]] = {
    "openssl rand -hex 32": lambda: RANDOM.randbytes(32).hex(),
    "openssl rand -base64 32": lambda: base64.b64encode(RANDOM.randbytes(32)).decode(),
    "secrets.token_urlsafe(32)": lambda: base64.urlsafe_b64encode(RANDOM.randbytes(32)).decode().rstrip("="),
    "uuidgen twice": lambda: "".join(str(uuid.UUID(bytes=RANDOM.randbytes(16), version=4)) for _ in range(2)),
    "small letters": lambda: drawn(string.ascii_lowercase, 32),
    "openssl rand -hex 16, in capitals": lambda: RANDOM.randbytes(16).hex().upper(),
    "base32": lambda: base64.b32encode(RANDOM.randbytes(32)).decode(),
    "uuidgen": lambda: str(uuid.UUID(bytes=RANDOM.randbytes(16), version=4)),
    "letters": lambda: drawn(string.ascii_letters, 32),
    "letters and digits": lambda: drawn(string.ascii_letters + string.digits, 32),
    "signs too": lambda: drawn(string.printable[:94], 32),
    "digits": lambda: drawn(string.digits, 48),
    "base64 of hexadecimal": lambda: base64.b64encode(RANDOM.randbytes(32).hex().encode()).decode(),
    "base64 of base64": lambda: base64.b64encode(base64.b64encode(RANDOM.randbytes(32))).decode(),
    "a name before it": lambda: f"jwt-secret-{drawn(string.ascii_letters + string.digits, 32)}",
}
# Case makes no difference but to base64, so that small letters are the ones most like words.
COMMANDS = tuple(FORMS)[:5]


@pytest.mark.parametrize("form", COMMANDS)
def test_of_20_000_random_secrets_none_is_refused(form: str) -> None:
    assert [
        secret for secret in (FORMS[form]() for _ in range(volume(20_000))) if plain_reason(secret) is not None
    ] == []


@pytest.mark.parametrize("form", FORMS)
def test_no_random_secret_is_refused_by_any_estimate(form: str) -> None:
    assert [secret for secret in (FORMS[form]() for _ in range(60)) if reason_to_guess(secret) is not None] == []


def test_the_list_is_made_of_digests_in_their_order() -> None:
    table = files("server.config").joinpath("known_secrets.bin").read_bytes()
    digests = [table[place : place + 8] for place in range(0, len(table), 8)]
    assert (len(table) % 8, digests) == (0, sorted(set(digests)))
    assert len(digests) > 4000
    # What makes it makes the same of the same secrets, however they are spelt.
    for secret in PUBLISHED:
        made = packed([secret])
        assert {made[place : place + 8] for place in range(0, len(made), 8)} <= set(digests)
