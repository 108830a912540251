"""`make bench --only timing`: whether a registration tells by its time if a name or an address is taken.

One client registers with names and addresses that are taken or free, in random order. Each kind is compared with free
ones by the test of Mann and Whitney: |z| below 3 is what chance does. A taken name is told by the answer too (409); a
taken address must not be told by anything.
"""

from __future__ import annotations

import random
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.timing import SETTINGS, Client, z_score
from tests.process.server_process import serving

OPEN = SETTINGS | {"WATCHWORD__REGISTRATION__MODE": "open"}
KINDS = ("free", "taken address", "taken name", "no address")
PASSWORD = "brown otters juggle turnips"
TAKEN = "taken@example.com"


def body_of(kind: str, number: int) -> dict[str, str]:
    """Of a registration. All texts are as long as those of the other kinds."""
    body = {
        "username": f"new{number:05}",
        "name": "Somebody",
        "password": PASSWORD,
        "email": f"n{number:04}@example.com",
    }
    match kind:
        case "taken address":
            body["email"] = TAKEN
        case "taken name":
            body["username"] = "oldname1"
        case "no address":
            del body["email"]
    return body


def sign_up_timing(folder: Path, tries: int) -> None:
    """Prints the medians of so many registrations of each kind, and how far they are from chance."""
    kinds = list(KINDS) * tries
    random.Random(1).shuffle(kinds)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    answers: dict[str, set[tuple[int, str]]] = {kind: set() for kind in KINDS}
    with serving(folder, log_to=None, module="server", **OPEN) as server:
        admin = server.log_in("admin", server.admin_password())["token"]
        there = {"username": "oldname1", "name": "There", "role": "customer", "email": TAKEN}
        assert server.call("POST", "/users", there, admin)[0] == 201
        client = Client(server)
        for number, kind in enumerate(kinds):
            took, answer, content = client.post("/sign-up", body_of(kind, number))
            times[kind].append(took)
            answers[kind].add((answer.status, " ".join(sorted(content.get("user", content)))))
    table = Table("registration, ms", "median", "10 % - 90 %", "|z|", box=None, pad_edge=False)
    for kind in KINDS:
        tenths = statistics.quantiles(times[kind], n=10)
        score = abs(z_score(times[kind], times["free"]))
        table.add_row(
            kind, f"{statistics.median(times[kind]):.1f}", f"{tenths[0]:.1f} - {tenths[-1]:.1f}", f"{score:.1f}"
        )
    Console(soft_wrap=True).print(table)
    same = answers["free"] == answers["taken address"] and len(answers["free"]) == 1
    print(f"a taken address is answered {'as' if same else 'in another way than'} a free one", flush=True)
    print(flush=True)
