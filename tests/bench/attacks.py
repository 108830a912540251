"""The storms of `python -m tests.bench --only storms`: what an attacker would send, and honest users all at once.

Each request comes from another address, as a trusted proxy says it, so that no budget of one address hides the work.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from server.passwords.hasher import Hasher
from tests.bench.storming import Answer, Source, Storm
from tests.forging import base64url
from tests.process.server_process import run, serving

CLIENTS = 64
PASSWORD = "brown otters juggle turnips"
COST = 12
SETTINGS = {
    "WATCHWORD__PASSWORDS__BCRYPT_COST": str(COST),
    "WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "86400",
    "WATCHWORD__SERVER__TRUSTED_PROXIES": '["127.0.0.1"]',
    "WATCHWORD__LOGS__FORMAT": "json",
    "WATCHWORD__REGISTRATION__MODE": "open",
    "WATCHWORD__SERVER__PUBLIC_URL": "http://127.0.0.1:1",
    "WATCHWORD__MAIL__FROM": "watchword@example.com",
    # The budgets of all together would end the work, and the storm, within seconds.
    "WATCHWORD__LIMITS__ALL_GUESSES_PER_HOUR": "3600000",
    "WATCHWORD__LIMITS__ALL_MAILS_PER_HOUR": "3600000",
}
# Of all that were tried, the policy thinks about this one for the longest time before it refuses it, and the parser
# about bodies of many of these.
HARD_PASSWORD = "aeiost431057@$!+" * 2
SLOW_JSON = b'{"a":{"a":{"a":{"a":{"a":1}}}}},'
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Prepared:
    """Tokens of a store: good ones with their refresh tokens, and what is over."""

    tokens: list[str]
    refresh_tokens: list[str]
    revoked: list[str]
    expired: list[str]
    admin: str


def prepare(folder: Path, settings: dict[str, str], cost: int = COST) -> Prepared:
    """Fill the store of a folder, by servers with cheap hashes: users who have signed in, and those who will."""
    cheap = {"WATCHWORD__PASSWORDS__BCRYPT_COST": "4"}
    hashes = {"in": Hasher(4).hash(PASSWORD), "to": Hasher(cost).hash(PASSWORD)}
    accounts = [
        {"username": f"{kind}{number}", "role": "customer", "password_hash": password_hash}
        | ({"email": f"in{number}@example.com", "email_verified": True} if kind == "in" else {})
        for kind, password_hash in hashes.items()
        for number in range(CLIENTS)
    ]
    lines = folder / "accounts.jsonl"
    lines.write_text("".join(json.dumps(account) + "\n" for account in accounts))
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, log_to=None, module="server", **(settings | cheap)))
        admin = server.log_in("admin", server.admin_password())["token"]
        imported = run(folder, "users", "import", str(lines), **(settings | cheap))
        assert imported.returncode == 0, imported.stderr
        signed_in = [server.log_in(f"in{number}", PASSWORD) for number in range(CLIENTS)]
        over = [server.log_in(f"in{number}", PASSWORD)["token"] for number in range(8)]
        for token in over:
            assert server.call("POST", "/logout", token=token)[0] == 204
        server.stop()
    brief = settings | cheap | {"WATCHWORD__TOKENS__ACCESS_TTL_SECONDS": "1"}
    with serving(folder, log_to=None, module="server", **brief) as server:
        expired = [server.log_in(f"in{number}", PASSWORD)["token"] for number in range(8)]
        server.stop()
    tokens = [one["token"] for one in signed_in]
    return Prepared(tokens, [one["refresh_token"] for one in signed_in], over, expired, admin)


def request(method: str, path: str, body: object = None, token: str = "", raw: bytes | None = None) -> bytes:
    """From another address than all before."""
    number = next(_NUMBERS)
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n"
    head += f"X-Forwarded-For: 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body is None and raw is None:
        return f"{head}\r\n".encode()
    content = json.dumps(body).encode() if raw is None else raw
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def _posts(path: str, bodies: Iterator[object]) -> list[Source]:
    return [lambda _: request("POST", path, next(bodies))] * CLIENTS


def _login(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"username": name, "password": password}


def _refreshing(refresh_token: str) -> Source:
    latest = [refresh_token]

    def source(answer: Answer | None) -> bytes:
        if answer is not None and answer.status == 200:
            latest[0] = json.loads(answer.body)["refresh_token"]
        return request("POST", "/refresh", {"refresh_token": latest[0]})

    return source


def _checks(tokens: list[str], path: str = "/verify") -> list[Source]:
    turn = itertools.cycle(tokens)
    return [lambda _: request("GET", path, token=next(turn))] * CLIENTS


def _unknown_keys(token: str) -> list[str]:
    parts = token.split(".")[1:]
    header = {"typ": "at+jwt", "alg": "ES256"}
    return [
        ".".join([base64url(json.dumps(header | {"kid": f"unknown {number}"}).encode()), *parts])
        for number in range(5000)
    ]


def _sign_up(password: str) -> dict[str, str]:
    name = f"new{secrets.token_hex(6)}"
    return {"username": name, "name": "Somebody", "password": password, "email": f"{name}@example.com"}


def storms(prepared: Prepared) -> list[Storm]:
    """All of them, in the order of the table."""
    turn = itertools.count()
    numbers = iter(lambda: next(turn) % CLIENTS, -1)
    logins = (_login(f"to{number}") for number in numbers)
    everybody = (_login(f"to{number}" if number % 2 else f"nobody{number}", "wrong") for number in itertools.count())
    forgotten = ({"identifier": f"in{number}" if number % 2 else f"nobody{number}"} for number in itertools.count())
    good = (_sign_up(secrets.token_hex(12)) for _ in itertools.count())
    hard = (_sign_up(HARD_PASSWORD) for _ in itertools.count())
    wrong_code = {"identifier": "in1", "code": "2345-6789", "new_password": PASSWORD}
    right, refused = frozenset({200}), frozenset({401})
    return [
        Storm("logins", _posts("/login", logins), right),
        Storm("wrong passwords, many accounts", _posts("/login", everybody), frozenset({400})),
        Storm("wrong passwords, one account", _posts("/login", itertools.repeat(_login("in1", "x"))), frozenset({400})),
        Storm("refreshes", [_refreshing(token) for token in prepared.refresh_tokens], right),
        Storm("forgotten passwords", _posts("/password/forgot", forgotten), frozenset({202})),
        Storm("wrong codes", _posts("/password/reset", itertools.repeat(wrong_code)), frozenset({400})),
        Storm("sign-ups", _posts("/sign-up", good), frozenset({201})),
        Storm("sign-ups, passwords that are hard to judge", _posts("/sign-up", hard), frozenset({422})),
        Storm("tokens with unknown keys", _checks(_unknown_keys(prepared.tokens[0])), refused),
        Storm("expired tokens", _checks(prepared.expired), refused),
        Storm("revoked tokens", _checks(prepared.revoked), refused),
        Storm("new connections", _checks(prepared.tokens), frozenset({204}), fresh=True),
        Storm("bodies that are slow to parse", _slow_bodies(), frozenset({400, 422})),
        Storm("figures for an admin", _checks([prepared.admin], "/stats"), right),
    ]


def _slow_bodies() -> list[Source]:
    raw = b'{"username":[' + SLOW_JSON * (65_000 // len(SLOW_JSON)) + b"1]}"
    return [lambda _: request("POST", "/login", raw=raw)] * CLIENTS


def from_one_address(storm: Storm) -> Storm:
    """The same without a proxy: all from one address, which is throttled."""

    def bare(source: Source) -> Source:
        return lambda answer: source(answer).replace(b"X-Forwarded-For:", b"X-Nothing:")

    return Storm(f"{storm.name}, from one address", [bare(one) for one in storm.sources], storm.statuses)
