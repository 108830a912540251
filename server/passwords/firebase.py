"""Password hashes of Firebase Authentication, which has its own variant of scrypt (see github.com/firebase/scrypt).

No maintained library has it. The first half of the output of scrypt is an AES key. It encrypts the signer key of the
project (AES-256, counter mode, from zero), and the result is the hash.

The text form has everything that is needed to check a password, in base64 without padding, as a PHC string:

    $firebase-scrypt$m=14,r=8,ss=Bw,sk=<signer key>$<salt>$<hash>

`m` is Firebase's mem_cost, `r` its rounds, `ss` its salt separator. The signer key is in each hash on purpose. Kept
elsewhere, it would not protect the hashes: the hash is the encrypted signer key, so anybody who has the hashes and
knows one password can compute the signer key. The first login replaces the hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from server.passwords.encoding import BASE64, decoded, encoded

PATTERN = re.compile(
    r"\$firebase-scrypt\$m=(?P<m>[1-9]\d?),r=(?P<r>[1-9]\d{0,5})"
    # The hash is as long as the signer key. If both were empty, every password would fit.
    rf",ss=(?P<separator>{BASE64}),sk=(?=[^$]{{43,}})(?P<signer_key>{BASE64})"
    rf"\$(?P<salt>{BASE64})\$(?=.{{43,}})(?P<hash>{BASE64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class FirebaseParameters:
    """The password hash parameters of a Firebase project. The first two are secret."""

    signer_key: bytes
    salt_separator: bytes
    rounds: int
    mem_cost: int

    def text_form(self, salt: str, password_hash: str) -> str:
        """The hash of one user, both parts in either base64 alphabet. Raises ValueError if they are not base64."""
        parts = [self.salt_separator, self.signer_key, decoded(salt), decoded(password_hash)]
        separator, signer_key, salt, password_hash = (encoded(part) for part in parts)
        return (
            f"$firebase-scrypt$m={self.mem_cost},r={self.rounds},ss={separator},sk={signer_key}${salt}${password_hash}"
        )


def matches(password: bytes, found: re.Match[str]) -> bool:
    """Whether the password fits the hash that PATTERN has matched."""
    salt, separator, signer_key, expected = (
        decoded(found[part]) for part in ("salt", "separator", "signer_key", "hash")
    )
    derived = scrypt(password, salt + separator, n=1 << int(found["m"]), r=int(found["r"]), p=1, size=64)
    cipher = Cipher(AES(derived[:32]), CTR(bytes(16))).encryptor()
    return hmac.compare_digest(cipher.update(signer_key) + cipher.finalize(), expected)


def scrypt(password: bytes, salt: bytes, *, n: int, r: int, p: int, size: int) -> bytes:
    """Scrypt (RFC 7914). OpenSSL needs a limit of memory; foreign.py has limited the parameters before."""
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 8), dklen=size)
