"""JSON Web Keys from elsewhere (RFC 7517): each becomes a key with one algorithm, or is refused when it is loaded.

If Watchword does not sign with a kind of key (an unknown `kty`, `crv` or `alg`), such a key in a set is ignored, as RFC
7517 section 5 says, so a set may have keys of future algorithms. If one key is malformed, weak or for another purpose,
the whole set is refused: its author has made a mistake, and perhaps others too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm

from watchword_client.encoding import decode_base64url, strict_json
from watchword_client.errors import KeyRefused
from watchword_client.keys import (
    MAXIMUM_RSA_BITS,
    MINIMUM_RSA_BITS,
    MINIMUM_SECRET_BYTES,
    SHARED,
    VerificationKey,
    secret_kid,
    thumbprint,
)
from watchword_client.rsa_flaws import factoring_flaw

MAXIMUM_KEYS = 100
MAXIMUM_KID_LENGTH = 256
# The private members of RFC 7518 section 6, RFC 8037 section 2, and ML-DSA. A public key must not have `k` either.
_PRIVATE_MEMBERS = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "priv"))
_OPERATIONS = frozenset(("sign", "verify"))
_COORDINATE_BYTES = 32
# The points of edwards25519 whose order divides 8, as all encodings of their y coordinate (RFC 8725 section 3.4).
_PRIME = 2**255 - 19
_WITHOUT_SIGN = 2**255 - 1
_SMALL_ORDER = frozenset(
    (
        *(0, 1, _PRIME - 1, _PRIME, _PRIME + 1),
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    )
)
# Each kind of key has one algorithm, and these are its names. RFC 9864 names EdDSA with this curve Ed25519.
_ALGORITHMS = {
    ("EC", "P-256"): {"ES256": "ES256"},
    ("OKP", "Ed25519"): {"EdDSA": "EdDSA", "Ed25519": "EdDSA"},
    ("RSA", None): {"RS256": "RS256"},
    ("oct", None): {"HS256": "HS256"},
}


class UnknownKind(KeyRefused):
    """The key may be valid, but Watchword does not sign with this kind of key."""


class KeySet:
    """Keys by their names, all public or all shared secrets (RFC 8725 section 3.1)."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys: dict[str, VerificationKey] = {}
        for key in keys:
            if key.kid in self._keys:
                raise KeyRefused(f"two keys are named {_shown(key.kid)}")
            self._keys[key.kid] = key
        if len({key.algorithm == SHARED for key in self._keys.values()}) > 1:
            raise KeyRefused("shared secrets and public keys are mixed in one set")

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From a JWK Set, or from one JWK. Raises KeyRefused, also for a set that has no key of a known kind."""
        if "keys" not in document:
            return cls([load_jwk(document)])
        members = document["keys"]
        if not isinstance(members, list) or len(members) > MAXIMUM_KEYS:
            raise KeyRefused(f"`keys` is not a list of at most {MAXIMUM_KEYS} keys")
        keys = cls(_known(members))
        if not keys.kids():
            raise KeyRefused("the set has no key that could verify a token; with HS256, Watchword publishes none")
        return keys

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """From JSON. Raises KeyRefused, also for repeated members (RFC 7517 section 4)."""
        try:
            decoded = text if isinstance(text, str) else text.decode("utf-8")
            document = strict_json(decoded)
        except (ValueError, RecursionError):
            raise KeyRefused("this is not JSON in UTF-8, or a member is repeated") from None
        if not isinstance(document, dict):
            raise KeyRefused("this is not a JSON object")
        return cls.of(document)

    def verification_key(self, kid: str, now_ms: int) -> VerificationKey | None:
        """The key of that name, at any time: a set has no expiry."""
        del now_ms
        return self._keys.get(kid)

    def is_current(self) -> bool:
        """Always true: a set never changes."""
        return True

    async def keep_current(self) -> None:
        """Nothing to do."""

    async def reload(self) -> bool:
        """Always False: there is no source to read again."""
        return False

    def on_removal(self, forget: Callable[[], None]) -> None:
        """Does nothing: no key is ever removed."""

    async def close(self) -> None:
        """Nothing is open."""

    def kids(self) -> frozenset[str]:
        """The names of all keys."""
        return frozenset(self._keys)

    def keeps(self, other: KeySet) -> bool:
        """Whether all keys of the other one are in here, unchanged."""
        return other._keys.items() <= self._keys.items()


def _known(members: Iterable[Any]) -> Iterable[VerificationKey]:
    for member in members:
        if not isinstance(member, Mapping):
            raise KeyRefused("a key is not a JSON object")
        try:
            yield load_jwk(member)
        except UnknownKind:
            continue


def load_jwk(jwk: Mapping[str, Any]) -> VerificationKey:
    """The key of a JWK. Raises KeyRefused with the reason, and never repeats key material.

    A key without `kid` is named by its thumbprint (RFC 7638), as Watchword's are.
    """
    kind = jwk.get("kty")
    if not isinstance(kind, str):
        raise KeyRefused("a key has no `kty`")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk) or ("k" in jwk and kind != "oct"):
        raise KeyRefused("a key has private parts; hand out the public half alone")
    _check_use(jwk)
    algorithm = _algorithm(kind, jwk)
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= MAXIMUM_KID_LENGTH):
        raise KeyRefused(f"a `kid` is not a text of 1 to {MAXIMUM_KID_LENGTH} characters")
    try:
        material: Any = _LOADERS[kind](jwk)
    except (ValueError, TypeError):
        raise KeyRefused(f"a key of kind {kind} can't be read") from None
    name = kid or (secret_kid(material) if kind == "oct" else thumbprint(jwk))
    return VerificationKey(name, algorithm, material)


def _check_use(jwk: Mapping[str, Any]) -> None:
    """Require that `use` and `key_ops`, if present, allow verifying (RFC 7517 sections 4.2 and 4.3)."""
    if jwk.get("use", "sig") != "sig":
        raise KeyRefused("a key is not for signatures: `use` is not sig")
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or not all(isinstance(operation, str) for operation in operations):
            raise KeyRefused("`key_ops` is not a list of texts")
        if "verify" not in operations or not _OPERATIONS.issuperset(operations):
            raise KeyRefused("a key is not for verifying alone: `key_ops` is not verify, with or without sign")
        if len(set(operations)) != len(operations):
            raise KeyRefused("`key_ops` repeats itself")


def _algorithm(kind: str, jwk: Mapping[str, Any]) -> str:
    curve = jwk.get("crv") if kind in {"EC", "OKP"} else None
    if not isinstance(curve, str | None):
        raise KeyRefused("`crv` is not a text")
    names = _ALGORITHMS.get((kind, curve))
    if names is None:
        raise UnknownKind("a key is of a kind that is not used here: EC with P-256, OKP with Ed25519, RSA and oct are")
    algorithm = jwk.get("alg", next(iter(names)))
    if not isinstance(algorithm, str):
        raise KeyRefused("`alg` is not a text")
    if algorithm not in names:
        raise UnknownKind(f"a key of kind {kind} is for an algorithm that is not used here")
    return names[algorithm]


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise KeyRefused(f"a key has no `{name}`")
    try:
        return decode_base64url(text)
    except ValueError:
        raise KeyRefused(f"`{name}` of a key is not base64url in its one spelling") from None


def _positive(jwk: Mapping[str, Any], name: str) -> int:
    """A Base64urlUInt without superfluous bytes (RFC 7518 section 2); these would give a key a second thumbprint."""
    raw = _bytes(jwk, name)
    if raw[:1] in {b"", b"\0"}:
        raise KeyRefused(f"`{name}` of a key is not a number in its one spelling")
    return int.from_bytes(raw, "big")


def _coordinate(jwk: Mapping[str, Any], name: str) -> bytes:
    raw = _bytes(jwk, name)
    if len(raw) != _COORDINATE_BYTES:
        raise KeyRefused(f"`{name}` of a key does not have {_COORDINATE_BYTES} bytes")
    return raw


def _ec(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(_coordinate(jwk, name), "big") for name in ("x", "y"))
    numbers = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1())
    # This raises ValueError for a point off the curve. It reduces a coordinate above the prime modulo the prime.
    key = numbers.public_key()
    if key.public_numbers() != numbers:
        raise KeyRefused("a coordinate of a key is larger than the prime of its curve")
    return key


def _okp(jwk: Mapping[str, Any]) -> ed25519.Ed25519PublicKey:
    raw = _coordinate(jwk, "x")
    if int.from_bytes(raw, "little") & _WITHOUT_SIGN in _SMALL_ORDER:
        raise KeyRefused("`x` of a key is a point of small order, for which anybody can make signatures")
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _rsa(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    modulus, exponent = _positive(jwk, "n"), _positive(jwk, "e")
    # RFC 7518 section 3.3 sets the minimum. With a very long key each verification would take a second.
    if not MINIMUM_RSA_BITS <= modulus.bit_length() <= MAXIMUM_RSA_BITS:
        raise KeyRefused(f"an RSA key does not have {MINIMUM_RSA_BITS} to {MAXIMUM_RSA_BITS} bits")
    if not 65537 <= exponent < 2**32:
        raise KeyRefused("the exponent of an RSA key is not between 65537 and 2^32")
    flaw = factoring_flaw(modulus)
    if flaw is not None:
        raise KeyRefused(f"an RSA key can be taken apart by anybody: {flaw}; make another one elsewhere")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _oct(jwk: Mapping[str, Any]) -> bytes:
    secret = _bytes(jwk, "k")
    if len(secret) < MINIMUM_SECRET_BYTES:
        raise KeyRefused(f"a shared secret has less than {MINIMUM_SECRET_BYTES} bytes")
    try:
        return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        # With such a secret PyJWT would refuse every token and give no reason.
        raise KeyRefused("a shared secret is a public key or a certificate, which others have too") from None


_LOADERS = {"EC": _ec, "OKP": _okp, "RSA": _rsa, "oct": _oct}


def _shown(kid: str) -> str:
    return ascii(kid[:40])
