"""Password hashes of Firebase Authentication: its own variant of scrypt, as github.com/firebase/scrypt describes it.

No kept library knows it, so the few lines are here, on hashlib's scrypt and the AES of `cryptography`: the first half
of what scrypt makes of the password encrypts the project's signer key (AES-256, counter mode, from zero), and that is
the hash.

The text form has everything that is needed to check a password, in base64 without padding, as a PHC string:

    $firebase-scrypt$m=14,r=8,ss=Bw,sk=<signer key>$<salt>$<hash>

`m` is Firebase's mem_cost, `r` its rounds, `ss` its salt separator. The signer key is in each hash on purpose. It looks
like a pepper that ought to be kept elsewhere, and is none: the hash is the signer key under a keystream, so whoever has
the hashes and knows one password, his own for example, has the signer key too. The first login does away with it.
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
    # A hash is as long as the signer key; were both empty, every password would fit.
    rf",ss=(?P<separator>{BASE64}),sk=(?=[^$]{{43,}})(?P<signer_key>{BASE64})"
    rf"\$(?P<salt>{BASE64})\$(?=.{{43,}})(?P<hash>{BASE64})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class FirebaseParameters:
    """What a Firebase project shows as its password hash parameters; the first two are secret."""

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
    """Whether it is the password of the hash that PATTERN found."""
    salt, separator, signer_key, expected = (
        decoded(found[part]) for part in ("salt", "separator", "signer_key", "hash")
    )
    derived = scrypt(password, salt + separator, n=1 << int(found["m"]), r=int(found["r"]), p=1, size=64)
    cipher = Cipher(AES(derived[:32]), CTR(bytes(16))).encryptor()
    return hmac.compare_digest(cipher.update(signer_key) + cipher.finalize(), expected)


def scrypt(password: bytes, salt: bytes, *, n: int, r: int, p: int, size: int) -> bytes:
    """RFC 7914. OpenSSL wants to be told how much memory it may take; that is bounded before (foreign.py)."""
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 8), dklen=size)
