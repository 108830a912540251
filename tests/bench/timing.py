"""`make bench`: whether a failed login tells by its time, or by anything else, what kind of account it was for.

Accounts that do not exist, have another password, are disabled, or were moved in with a cheap or a dear hash are tried
with a short, a long and an empty password, and disabled ones with the right one, in random order, by one client. So are
addresses that nobody has, that are verified, that are not, and of disabled accounts. Each kind is compared with names,
or addresses, that do not exist by the test of Mann and Whitney: |z| below 3 is what chance does.
Throttled ones are compared with each other.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from server.passwords.hasher import Hasher
from tests.foreign_hashes import CHEAP_DJANGO, DJANGO, PASSWORD
from tests.process.server_process import ServerProcess, run, serving

COST = 10
SETTINGS = {
    "WATCHWORD__PASSWORDS__BCRYPT_COST": str(COST),
    "WATCHWORD__LIMITS__ADDRESS_GUESSES_PER_HOUR": "1000000",
    "WATCHWORD__LIMITS__ALL_GUESSES_PER_HOUR": "3600000",
    "WATCHWORD__LOGS__FORMAT": "json",
}
# What Django makes by default is dearer than our own at COST.
KINDS = (
    "unknown",
    "wrong",
    "disabled",
    "disabled-right",
    "imported-cheap-pbkdf2",
    "imported-pbkdf2",
    "imported-argon2",
    "unknown-address",
    "verified-address",
    "unverified-address",
    "disabled-address",
)
PASSWORDS = {"short": "x", "long": "long and wrong " * 250, "empty": ""}
# Tries of one account are below the number of failures from which on it has to wait.
MOST_TRIES = 15
ACCOUNTS = 6
# Request ids are counted, so they grow, and the length of the body with them.
NAMING_THE_REQUEST = {"Date", "X-Request-Id", "Content-Length"}
Answer = tuple[int, str, tuple[tuple[str, str], ...]]


def names(kind: str, password: str) -> list[str]:
    """What is typed."""
    domain = "@example.com" if kind.endswith("-address") else ""
    return [f"{kind}-{password}-{number}{domain}" for number in range(ACCOUNTS)]


def nobodys(kind: str) -> str:
    """The kind that does not exist, and looks the same."""
    return "unknown-address" if kind.endswith("-address") else "unknown"


def accounts() -> list[dict[str, object]]:
    own = Hasher(COST).hash("a password that nobody tries")
    hashes = {
        "wrong": own,
        "disabled": own,
        "disabled-right": CHEAP_DJANGO["django pbkdf2_sha1"],
        "imported-cheap-pbkdf2": CHEAP_DJANGO["django pbkdf2_sha256"],
        "imported-pbkdf2": DJANGO["django pbkdf2_sha256"],
        "imported-argon2": DJANGO["django argon2"],
        "verified-address": own,
        "unverified-address": own,
        "disabled-address": own,
    }
    return [
        {
            "username": name.replace("@", "-at-"),
            "role": "customer",
            "password_hash": password_hash,
            "disabled": kind.startswith("disabled"),
        }
        | ({"email": name, "email_verified": not kind.startswith("unverified")} if "@" in name else {})
        for kind, password_hash in hashes.items()
        for password in (*PASSWORDS, "throttled")
        for name in names(kind, password)
    ]


class Client:
    """One connection, kept open."""

    def __init__(self, server: ServerProcess) -> None:
        self._connection = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=60)

    def post(self, path: str, body: Mapping[str, str]) -> tuple[float, http.client.HTTPResponse, dict[str, Any]]:
        """Milliseconds, the answer and its content."""
        started = time.perf_counter()
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = json.loads(answer.read() or b"{}")
        return (time.perf_counter() - started) * 1000, answer, content

    def try_password(self, username: str, password: str) -> tuple[float, Answer]:
        """Milliseconds, and all of the answer that does not name the request or the moment."""
        took, answer, content = self.post("/login", {"username": username, "password": password})
        del content["request_id"]
        headers = tuple(pair for pair in answer.getheaders() if pair[0] not in NAMING_THE_REQUEST)
        return took, (answer.status, json.dumps(content), headers)


def z_score(one: Sequence[float], other: Sequence[float]) -> float:
    """Mann and Whitney's U in standard deviations from what chance gives (1947)."""
    wins = sum((a > b) + 0.5 * (a == b) for a in one for b in other)
    n, m = len(one), len(other)
    return (wins - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def measure(
    client: Client, chance: random.Random, count: int
) -> tuple[dict[tuple[str, str], list[float]], set[Answer]]:
    tries = [
        (kind, password, name)
        for kind, password in product(KINDS, PASSWORDS)
        for name in names(kind, password)
        for _ in range(count)
    ]
    chance.shuffle(tries)
    times: dict[tuple[str, str], list[float]] = {}
    answers = set()
    for kind, password, name in tries:
        took, answer = client.try_password(name, PASSWORD if kind == "disabled-right" else PASSWORDS[password])
        times.setdefault((kind, password), []).append(took)
        answers.add(answer)
    return times, answers


def throttled(client: Client, chance: random.Random, count: int) -> tuple[dict[str, list[float]], set[Answer]]:
    """Accounts whose guesses are used up, so that no password is looked at."""
    everybody = [(kind, name) for kind in KINDS for name in names(kind, "throttled")]
    for _, name in everybody:
        while client.try_password(name, "x")[1][0] != 429:
            pass
    tries = everybody * count
    chance.shuffle(tries)
    times: dict[str, list[float]] = {}
    answers = set()
    for kind, name in tries:
        took, answer = client.try_password(name, "x")
        times.setdefault(kind, []).append(took)
        answers.add(answer)
    return times, answers


def timing(folder: Path, tries: int) -> None:
    """Prints the medians of so many tries of each account, and how far they are from chance."""
    count = min(tries, MOST_TRIES)
    lines = folder / "accounts.jsonl"
    lines.write_text("".join(json.dumps(account) + "\n" for account in accounts()))
    imported = run(folder, "users", "import", str(lines), **SETTINGS)
    assert imported.returncode == 0, imported.stderr
    table = Table("failed login, ms", *PASSWORDS, "throttled", "largest |z|", box=None, pad_edge=False)
    chance = random.Random(1)
    with serving(folder, log_to=None, module="server", **SETTINGS) as server:
        times, answers = measure(Client(server), chance, count)
    # Few guesses, so that they are used up without waits between them.
    with serving(folder, log_to=None, module="server", **SETTINGS, WATCHWORD__LIMITS__ACCOUNT_GUESSES="10") as server:
        waits, refusals = throttled(Client(server), chance, count)
    for kind in KINDS:
        scores = [abs(z_score(times[kind, password], times[nobodys(kind), password])) for password in PASSWORDS]
        scores.append(abs(z_score(waits[kind], waits[nobodys(kind)])))
        medians = [f"{statistics.median(times[kind, password]):.1f}" for password in PASSWORDS]
        table.add_row(kind, *medians, f"{statistics.median(waits[kind]):.2f}", f"{max(scores):.1f}")
    Console(soft_wrap=True).print(table)
    print(f"different answers: {len(answers)} of failed logins, {len(refusals)} of throttled ones")
    for answer in answers if len(answers) > 1 else ():
        print(f"  {answer}")
    print(flush=True)
