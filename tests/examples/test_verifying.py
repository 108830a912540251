"""The code in docs/verifying.md and in the README does what is said there, beside a real Watchword."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from tests.environment import ROOT
from tests.in_process import LocalServer, serving_demo
from watchword_client import TokenExpired, TokenInvalid, TokenVerifier

SECRET = "hT7pXw2LqRz9 vKc4NdYs8MbJf3GaEu6"


@pytest.fixture
def watchword(tmp_path: Path) -> Iterator[LocalServer]:
    with serving_demo(tmp_path) as server:
        yield server


def token_of(watchword: LocalServer, username: str) -> str:
    token: str = watchword.log_in(username, f"{username}-demo-password")["token"]
    return token


def defined_in(document: str, address: str, name: str) -> Any:
    """What a name stands for in the one block of code that defines it."""
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (block,) = [block for block in blocks if re.search(rf"^(?:async )?def {name}\(", block, re.MULTILINE)]
    for shown in ("https://auth.example.com", "http://127.0.0.1:8080"):
        block = block.replace(shown, address)
    names: dict[str, Any] = {}
    exec(compile(block, document, "exec"), names)  # noqa: S102 - our own documentation
    return names[name]


async def test_the_guarded_application(watchword: LocalServer, aiohttp_client: AiohttpClient) -> None:
    app: web.Application = defined_in("docs/verifying.md", watchword.address, "make_app")()
    client = await aiohttp_client(app)
    customer, admin = token_of(watchword, "lak"), token_of(watchword, "sahan")
    for path, token, status in (
        ("/health", None, 200),
        ("/orders/7", None, 401),
        ("/orders/7", customer, 200),
        ("/reports", customer, 403),
        ("/reports", admin, 200),
    ):
        response = await client.get(path, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        assert response.status == status
    response = await client.get("/orders/7", headers={"Authorization": f"Bearer {customer}"})
    assert await response.json() == {"order": "7", "for": "lak"}


async def test_the_verifier_alone(watchword: LocalServer) -> None:
    names_of = defined_in("docs/verifying.md", watchword.address, "names_of")
    customer, admin = token_of(watchword, "lak"), token_of(watchword, "sahan")
    assert await names_of([customer, "garbage", admin, customer[:-1]]) == ["lak", None, "sahan", None]


async def test_keys_in_a_file(watchword: LocalServer, tmp_path: Path) -> None:
    verifier_with = defined_in("docs/verifying.md", watchword.address, "verifier_with")
    status, keys = watchword.call("GET", "/.well-known/jwks.json")
    assert status == 200
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    verifier: TokenVerifier = verifier_with(tmp_path / "jwks.json")
    assert (await verifier.verify(token_of(watchword, "lak"))).role == "customer"


async def test_a_secret_as_a_key(tmp_path: Path) -> None:
    with serving_demo(tmp_path, WATCHWORD__TOKENS__ALGORITHM="HS256", WATCHWORD__TOKENS__SECRET=SECRET) as watchword:
        keys = defined_in("docs/verifying.md", watchword.address, "keys_of")(SECRET)
        verifier = TokenVerifier(keys, issuer="my-api", audience="my-api")
        token = token_of(watchword, "sahan")
    assert (await verifier.verify(token)).role == "admin"
    with pytest.raises((TokenInvalid, TokenExpired)):
        await verifier.verify(token[:-1])


def test_pyjwt_in_the_readme(watchword: LocalServer) -> None:
    claims_of = defined_in("README.md", watchword.address, "claims_of")
    assert claims_of(token_of(watchword, "lak"))["username"] == "lak"
