"""`make bench --only mails`: whether time tells what kind of account somebody asks a mail for, or guesses a code of.

One client asks for mails and sends wrong codes, in random order, for accounts of each kind and for names that nobody
has. After each request, one for a name of nobody follows on the same connection: work that was put off until after the
answer would slow it down. Each kind is compared with nobody by the test of Mann and Whitney: |z| below 3 is what chance
does. Mails are written into a folder. Hashes are cheap, so that they hide nothing.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from server.passwords.hasher import Hasher
from tests.bench.timing import SETTINGS, Client, z_score
from tests.process.server_process import ServerProcess, run, serving

PASSWORD = "brown otters juggle turnips"
# By the first letter of their names, which are all of one length.
KINDS = {"n": "nobody", "v": "verified", "u": "unverified", "d": "disabled", "t": "throttled"}
CODES_OF_A_CHALLENGE = 10
MAILS_AN_HOUR = 5
# Requests for mails are answered so often.
ROUND_SECONDS = 1
WRONG = "2345-6789"
Body = Mapping[str, str]
# What is sent of each kind: the body by the number of the try.
Senders = dict[str, Callable[[int], Body]]


def settings(folder: Path) -> dict[str, str]:
    return SETTINGS | {
        "WATCHWORD__PASSWORDS__BCRYPT_COST": "4",
        "WATCHWORD__REGISTRATION__MODE": "open",
        # Links need one; nobody follows them.
        "WATCHWORD__SERVER__PUBLIC_URL": "http://127.0.0.1:1",
        "WATCHWORD__MAIL__URL": f"file://{folder}/mails",
        "WATCHWORD__MAIL__FROM": "watchword@example.com",
        "WATCHWORD__MAIL__SIGN_IN_CODES": "true",
        "WATCHWORD__LIMITS__ACCOUNT_MAILS_PER_HOUR": str(MAILS_AN_HOUR),
        "WATCHWORD__LIMITS__ADDRESS_MAILS_PER_HOUR": "1000000",
        "WATCHWORD__LIMITS__ALL_MAILS_PER_HOUR": "3600000",
    }


def name_of(kind: str, number: int) -> str:
    """Whoever is throttled is always the same."""
    return f"{kind}{0 if kind == 't' else number:06}"


def address_of(name: str) -> str:
    return f"{name}@example.com"


def accounts(count: int) -> Iterable[dict[str, object]]:
    """So many of each kind, and of another one whose addresses somebody else wants."""
    password_hash = Hasher(4).hash("a password that nobody tries")
    for kind in ("v", "u", "d", "t", "s"):
        for number in range(1 if kind == "t" else count):
            name = name_of(kind, number)
            yield {
                "username": name,
                "role": "customer",
                "password_hash": password_hash,
                "disabled": kind == "d",
                "email": address_of(name),
                "email_verified": kind != "u",
            }


def mails_in(folder: Path) -> int:
    """How many there are in the store, when all that were asked for are."""
    with closing(sqlite3.connect(f"file:{folder}/data/watchword.db?mode=ro", uri=True)) as connection:
        while connection.execute("SELECT COUNT(*) FROM mail_requests").fetchone()[0]:
            time.sleep(ROUND_SECONDS)
        count: int = connection.execute("SELECT COUNT(*) FROM mails").fetchone()[0]
    return count


class Measurement:
    """The times of the requests of each kind to one path, of those that follow them, and the answers."""

    def __init__(self, title: str, path: str, senders: Senders, nobody: str) -> None:
        self._title = title
        self._path = path
        self._senders = senders
        self._nobody = nobody
        self._times: dict[str, list[float]] = {kind: [] for kind in senders}
        self._after: dict[str, list[float]] = {kind: [] for kind in senders}
        self._answers: dict[str, set[tuple[int, str]]] = {kind: set() for kind in senders}

    def take(self, client: Client, tries: int, following: Callable[[], tuple[str, Body]]) -> None:
        kinds = [kind for kind in self._senders for _ in range(tries)]
        random.Random(1).shuffle(kinds)
        numbers = dict.fromkeys(self._senders, 0)
        for kind in kinds:
            took, answer, content = client.post(self._path, self._senders[kind](numbers[kind]))
            numbers[kind] += 1
            self._times[kind].append(took)
            told = content.get("code", " ".join(sorted(content)))
            self._answers[kind].add((answer.status, told))
            self._after[kind].append(client.post(*following())[0])

    def print(self) -> None:
        table = Table(self._title, "median", "10 % - 90 %", "|z|", "after it", "|z|", box=None, pad_edge=False)
        for kind in self._senders:
            row = [kind]
            for times in (self._times, self._after):
                tenths = statistics.quantiles(times[kind], n=10)
                row.append(f"{statistics.median(times[kind]):.2f}")
                if times is self._times:
                    row.append(f"{tenths[0]:.2f} - {tenths[-1]:.2f}")
                row.append(f"{abs(z_score(times[kind], times[self._nobody])):.1f}")
            table.add_row(*row)
        Console(soft_wrap=True).print(table)
        for kind, answers in self._answers.items():
            if answers != self._answers[self._nobody]:
                print(f"{kind} is answered in another way: {sorted(answers)}")
        print(f"answers: {sorted(self._answers[self._nobody])}", flush=True)
        print(flush=True)


def asking(title: str, path: str, form: Callable[[str], str]) -> Measurement:
    """Of the routes that ask for a mail by a name, in one of its forms."""

    def sender(kind: str) -> Callable[[int], Body]:
        return lambda number: {"identifier": form(name_of(kind, number))}

    return Measurement(title, path, {what: sender(kind) for kind, what in KINDS.items()}, "nobody")


def signing_up() -> Measurement:
    """Registrations: with addresses that are free, somebody's, and with one that gets no more mails this hour."""
    numbers = iter(range(1_000_000))

    def sender(email: Callable[[int], str]) -> Callable[[int], Body]:
        return lambda number: {
            "username": name_of("x", next(numbers)),
            "name": "Somebody",
            "password": PASSWORD,
            "email": email(number),
        }

    senders = {
        "free": sender(lambda number: address_of(name_of("f", number))),
        "somebody's": sender(lambda number: address_of(name_of("s", number))),
        "unverified": sender(lambda number: address_of(name_of("u", number))),
        "throttled": sender(lambda _: address_of(name_of("g", 0))),
        "throttled, somebody's": sender(lambda _: address_of(name_of("t", 0))),
    }
    return Measurement("POST /sign-up, ms", "/sign-up", senders, "free")


def resetting(asked: int) -> Measurement:
    """Wrong codes of the first `asked` accounts, who have asked for a mail, and of others."""

    def sender(kind: str, first: int) -> Callable[[int], Body]:
        def body(number: int) -> Body:
            name = name_of(kind, first + number % asked)
            return {"identifier": name, "code": WRONG, "new_password": PASSWORD}

        return body

    senders = {
        "nobody": sender("n", 0),
        "has a code": sender("v", 0),
        "has none": sender("s", 0),
        "disabled": sender("d", 0),
    }
    return Measurement("POST /password/reset, wrong code, ms", "/password/reset", senders, "nobody")


def confirming(challenges: Mapping[str, list[str]]) -> Measurement:
    def sender(kind: str) -> Callable[[int], Body]:
        return lambda number: {"challenge": challenges[kind][number % len(challenges[kind])], "code": WRONG}

    senders = {KINDS[kind]: sender(kind) for kind in challenges}
    return Measurement("POST /login/code/confirm, wrong code, ms", "/login/code/confirm", senders, "nobody")


def asked_for(client: Client, path: str, kind: str, count: int) -> list[str]:
    """Ask for so many accounts; what is told of it."""
    answers = [client.post(path, {"identifier": name_of(kind, number)})[2] for number in range(count)]
    return [str(answer.get("challenge", "")) for answer in answers]


def use_up_mails(client: Client) -> None:
    """Of one account, and of an address that nobody has."""
    for number in range(MAILS_AN_HOUR + 1):
        client.post("/password/forgot", {"identifier": name_of("t", 0)})
        body = {"username": name_of("y", number), "name": "Somebody", "password": PASSWORD}
        client.post("/sign-up", body | {"email": address_of(name_of("g", 0))})


def measure(server: ServerProcess, folder: Path, tries: int) -> list[Measurement]:
    client = Client(server)
    others = iter(range(1_000_000))

    def nobody() -> tuple[str, Body]:
        body = {"identifier": name_of("o", next(others)), "code": WRONG, "new_password": PASSWORD}
        return "/password/reset", body

    use_up_mails(client)
    assert mails_in(folder) == 2 * MAILS_AN_HOUR
    done = [
        asking("POST /password/forgot, name, ms", "/password/forgot", str),
        asking("POST /password/forgot, address, ms", "/password/forgot", address_of),
        asking("POST /login/code, name, ms", "/login/code", str),
        signing_up(),
    ]
    for one in done:
        one.take(client, tries, nobody)
    # So many, that no challenge gets more codes than are looked at.
    asked = -(-tries // (CODES_OF_A_CHALLENGE // 2))
    before = mails_in(folder)
    asked_for(client, "/password/forgot", "v", asked)
    challenges = {kind: asked_for(client, "/login/code", kind, asked) for kind in ("n", "v", "u", "d", "t")}
    assert mails_in(folder) == before + 2 * asked
    for one in (resetting(asked), confirming(challenges)):
        one.take(client, tries, nobody)
        done.append(one)
    return done


def mail_timing(folder: Path, tries: int) -> None:
    """Prints the medians of so many requests of each kind, and how far they are from chance."""
    lines = folder / "accounts.jsonl"
    lines.write_text("".join(json.dumps(account) + "\n" for account in accounts(tries)))
    wanted = settings(folder)
    imported = run(folder, "users", "import", str(lines), **wanted)
    assert imported.returncode == 0, imported.stderr
    with serving(folder, log_to=None, module="server", **wanted) as server:
        done = measure(server, folder, tries)
    for measurement in done:
        measurement.print()
