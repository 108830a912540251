"""Somebody who signs as Watchword would, but whatever a test wants."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from tests.listening import listening

KID = "the key of the test"


@dataclass(frozen=True)
class Issuer:
    address: str
    key: ec.EllipticCurvePrivateKey

    def token(
        self, *, algorithm: str = "ES256", header: dict[str, Any] | None = None, without: str = "", **claims: Any
    ) -> str:
        """A good token but for what is named."""
        now = int(time.time())
        good = {"iss": "my-api", "aud": "my-api", "sub": "1", "iat": now, "exp": now + 300, "jti": "2", "sid": "3"}
        names = {"role": "admin", "username": "sahan"}
        content = {name: value for name, value in (good | names | claims).items() if name != without}
        members = {"typ": "at+jwt", "kid": KID} | (header or {})
        return jwt.encode(content, self._key_for(algorithm), algorithm=algorithm, headers=members)

    def _key_for(self, algorithm: str) -> Any:
        if algorithm == "none":
            return None
        if algorithm.startswith("HS"):
            # Key confusion (RFC 8725 section 2.1): the public key as a secret. PyJWT refuses it as PEM or DER.
            return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self.key


@contextlib.contextmanager
def issuer() -> Iterator[Issuer]:
    """Serves its public key as Watchword does."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = json.dumps({"keys": [{**public, "kid": KID, "use": "sig", "alg": "ES256"}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/.well-known/jwks.json"
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.end_headers()
            self.wfile.write(jwks)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with listening(listener):
        yield Issuer(f"http://127.0.0.1:{listener.server_port}", key)
