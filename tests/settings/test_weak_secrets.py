"""Which secrets are refused though they are long, and that none is that was drawn at random."""

from __future__ import annotations

import base64
import hashlib
import random
import string
import uuid
from collections.abc import Callable
from importlib.resources import files

import pytest

from server.settings.weak_secrets.published import packed
from server.settings.weak_secrets.reason import plain_reason, reason_to_guess
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
    "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "Yh2k7QSu4l8CZg5p6X3Pna9L0Miy4D3Bvt0JVr87UcOj69Kqw5R2Nmf4FWs03Hdx",
    # RFC 7520 section 3.5, and a signature of jwt.io.
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
)
HASHES = (
    hashlib.md5(b"secret", usedforsecurity=False).hexdigest(),
    hashlib.sha1(b"", usedforsecurity=False).hexdigest(),
    hashlib.sha256(b"password\n").hexdigest(),
    base64.b64encode(hashlib.sha256(b"changeme").digest()).decode(),
    hashlib.sha512(b"test").hexdigest().upper(),
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
# Of languages that are less like those that were counted. Leet makes them unlike any.
OTHER_LANGUAGES = (
    "byt-ut-mig-mot-en-hemlig-nyckel-tack-1",
    "zmien-mnie-na-bardzo-tajny-klucz-prosze",
    "buraya-gizli-anahtarinizi-yazin-lutfen",
    "laita-salainen-avaimesi-tahan-kiitos-12",
)
OTHER_KINDS = (
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9",
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.1Qw-Er_Ty0",
    '{"kty":"oct","alg":"HS256","use":"sig"}',
    '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrf"}',
    "$(openssl rand -base64 32 | tr -d '\\n')",
    "${WATCHWORD_HS256_KLUCZ:-xq7}${WATCHWORD_ZZ}",
    "{{ .Values.wtchwrd.hs256 | b64enc | qqt }}",
    "2024-01-01T00:00:00.000000+00:00-secret",
    "2026-11-26T08:00:00Z 2026-11-26T08:00:00Z",
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
    "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
    "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p62024!",
    "abcdabceabcfabcgabchabciabcjabckabcl",
    "aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpP2024!",
    f"{bytes(range(32)).hex()}2024!",
    "qwertzuiopasdfghjklyxcvbnm12345678902024!",
    "azertyuiopqsdfghjklmwxcvbn12345678902024!",
)


@pytest.mark.parametrize("secret", [*PUBLISHED, *HASHES, *PLACEHOLDERS, *OTHER_LANGUAGES, *OTHER_KINDS, *PATTERNS])
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
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "quoted": lambda text: f'"{text}"',
    "a line of an environment file": lambda text: f"JWT_SECRET={text}",
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


RANDOM = random.Random()


@pytest.fixture(autouse=True)
def _the_same_secrets_whatever_ran_before() -> None:
    RANDOM.seed(20_000)


def drawn(alphabet: str, length: int) -> str:
    return "".join(RANDOM.choices(alphabet, k=length))


WORDS = "watchword-production-secret-key-of-the-authentication-service-"
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
    "words before hexadecimal": lambda: f"{WORDS}{RANDOM.randbytes(16).hex()}",
    "words before base64": lambda: f"{WORDS}{base64.b64encode(RANDOM.randbytes(32)).decode()}",
    "words behind base64url": lambda: f"{base64.urlsafe_b64encode(RANDOM.randbytes(33)).decode()}.{WORDS}",
    "a JWK": lambda: f'{{"kty":"oct","k":"{base64.urlsafe_b64encode(RANDOM.randbytes(33)).decode()}"}}',
    "a line of an environment file": lambda: f"JWT_SECRET={base64.b64encode(RANDOM.randbytes(32)).decode()}",
    "SECRET_KEY of a new Django project": lambda: (
        f"django-insecure-{drawn(string.ascii_lowercase + string.digits + '!@#$%^&*(-_=+)', 50)}"
    ),
    "numbers of bytes": lambda: ",".join(map(str, RANDOM.randbytes(32))),
    "bytes as characters": lambda: RANDOM.randbytes(32).decode("latin-1"),
}
# Case makes no difference but to base64, so that small letters are the ones most like words.
COMMANDS = tuple(FORMS)[:5]


@pytest.mark.parametrize("form", [*COMMANDS, "digits", "numbers of bytes"])
def test_of_20_000_random_secrets_none_is_refused(form: str) -> None:
    assert [
        secret for secret in (FORMS[form]() for _ in range(volume(20_000))) if plain_reason(secret) is not None
    ] == []


@pytest.mark.parametrize("form", FORMS)
def test_no_random_secret_is_refused_by_any_estimate(form: str) -> None:
    assert [secret for secret in (FORMS[form]() for _ in range(60)) if reason_to_guess(secret) is not None] == []


def test_the_list_is_made_of_digests_in_their_order() -> None:
    table = files("server.settings.weak_secrets").joinpath("known_secrets.bin").read_bytes()
    digests = [table[place : place + 8] for place in range(0, len(table), 8)]
    assert (len(table) % 8, digests) == (0, sorted(set(digests)))
    assert len(digests) > 4000
    # What makes it makes the same of the same secrets, however they are spelt.
    for secret in PUBLISHED:
        made = packed([secret])
        assert {made[place : place + 8] for place in range(0, len(made), 8)} <= set(digests)


def test_a_secret_of_megabytes_is_judged_in_no_time() -> None:
    """By its beginning. In one that almost repeats itself the search took minutes."""
    assert reason_to_guess("9" * 1_000_000 + "x") is not None
    assert reason_to_guess(base64.b64encode(RANDOM.randbytes(1_000_000)).decode()) is None
