"""A service of another stack verifies our tokens. All that it knows is the URL of the JWKS, issuer and audience."""

from __future__ import annotations

import aiohttp
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from server.settings.tree import TokenSettings
from tests.running import StartApi


async def verify_elsewhere(jwks_url: str, token: str, algorithm: str) -> jwt.Token:
    """What joserfc's users write."""
    async with aiohttp.ClientSession() as http, http.get(jwks_url) as response:
        keys = KeySet.import_key_set(await response.json(content_type=None))
    decoded = jwt.decode(token, keys, algorithms=[algorithm])
    rules = jwt.JWTClaimsRegistry(
        now=int(decoded.claims["iat"]),
        iss={"essential": True, "value": "my-api"},
        aud={"essential": True, "value": "my-api"},
        exp={"essential": True},
        sub={"essential": True},
    )
    rules.validate(decoded.claims)
    return decoded


# RFC 9864 renames EdDSA to Ed25519, and joserfc says so; services that verify our tokens know the older name.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
async def test_joserfc_verifies_our_tokens_by_the_jwks_url(start_api: StartApi, algorithm: str) -> None:
    api = await start_api(tokens=TokenSettings(algorithm=algorithm))
    token = await api.token("lak")
    url = str(api.client.make_url("/.well-known/jwks.json"))
    decoded = await verify_elsewhere(url, token, algorithm)
    assert (decoded.claims["username"], decoded.claims["role"]) == ("lak", "customer")
    assert decoded.header["typ"] == "at+jwt"
    header, payload, signature = token.split(".")
    with pytest.raises(JoseError):
        await verify_elsewhere(url, f"{header}.{payload}.{signature[::-1]}", algorithm)
