"""Keys that change while clients log in and show their tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from tests.calling import DEADLINE_SECONDS, PAUSE_SECONDS, Caller
from tests.in_process import run

ROTATIONS = 6
# Between two rotations, of each client.
ANSWERS = 20


def keys(folder: Path, settings: dict[str, str]) -> list[dict[str, Any]]:
    listed = run(folder, "keys", "list", "--json", **settings)
    assert listed.returncode == 0, listed.stderr
    found: list[dict[str, Any]] = json.loads(listed.stdout)["keys"]
    return found


def of_state(listed: list[dict[str, Any]], state: str) -> list[str]:
    return [key["kid"] for key in listed if key["state"] == state]


@dataclass
class Load:
    """Logs in and shows tokens, as fast as it can, until it is told to stop."""

    server: Caller
    password: str
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def go(self) -> None:
        while not self.over.is_set():
            self.tokens.append(self.server.log_in("admin", self.password)["token"])
            for token in self.tokens[-5:]:
                self.answers.append(self.server.call("GET", "/me", token=token))
                self.answered.release()

    def wait_for_answers(self) -> None:
        for _ in range(ANSWERS):
            assert self.answered.acquire(timeout=DEADLINE_SECONDS)


@contextmanager
def loaded(server: Caller, password: str, clients: int) -> Iterator[list[Load]]:
    loads = [Load(server, password) for _ in range(clients)]
    threads = [threading.Thread(target=load.go) for load in loads]
    for thread in threads:
        thread.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.over.set()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)


def refused_soon(server: Caller, token: str) -> tuple[int, dict[str, Any]]:
    """The answer to a token that was just revoked; the first that is not a success."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        status, body = server.call("GET", "/me", token=token)
        if status != 200 or time.monotonic() > deadline:
            return status, body
        time.sleep(PAUSE_SECONDS)


def wait_until_forgotten(server: Caller, kid: str) -> None:
    """Until no worker publishes the key: each knows within a second, and each call may meet another one."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    in_a_row = 0
    while in_a_row < ANSWERS:
        published = server.call("GET", "/.well-known/jwks.json")[1]["keys"]
        in_a_row = 0 if kid in [key["kid"] for key in published] else in_a_row + 1
        assert time.monotonic() < deadline
        time.sleep(0 if in_a_row else PAUSE_SECONDS)


def signed_by(server: Caller, password: str, kid: str) -> str:
    """A token of that key. Each worker signs with it within a second, and each login may meet another one."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        token: str = server.log_in("admin", password)["token"]
        if jwt.get_unverified_header(token)["kid"] == kid:
            return token
        assert time.monotonic() < deadline
        time.sleep(PAUSE_SECONDS)


def rotate_and_revoke_under_load(
    server: Caller, password: str, folder: Path, settings: dict[str, str]
) -> tuple[str, str]:
    """A token that was revoked with its key, and one that was made after it."""
    with loaded(server, password, clients=2) as loads:
        for _ in range(ROTATIONS):
            rotated = run(folder, "keys", "rotate", "--now", **settings)
            assert (rotated.returncode, "signs now" in rotated.stdout) == (0, True), rotated.stderr
            for load in loads:
                load.wait_for_answers()
    answers = [answer for load in loads for answer in load.answers]
    assert {status for status, _ in answers} == {200}, [a for a in answers if a[0] != 200][:3]
    assert len(answers) >= 2 * ANSWERS * ROTATIONS
    listed = keys(folder, settings)
    assert len(of_state(listed, "retired")) == ROTATIONS

    (active,) = of_state(listed, "active")
    token = signed_by(server, password, active)
    assert server.call("GET", "/me", token=token)[0] == 200
    revoked = run(folder, "keys", "revoke", active, **settings)
    assert revoked.returncode == 0, revoked.stderr
    status, body = refused_soon(server, token)
    assert (status, body["code"]) == (401, "token_invalid")
    wait_until_forgotten(server, active)
    new = server.log_in("admin", password)["token"]
    assert server.call("GET", "/me", token=new)[0] == 200
    # An older token, of a key that is only retired, is as good as before.
    assert server.call("GET", "/me", token=loads[0].tokens[0])[0] == 200
    assert of_state(keys(folder, settings), "revoked") == [active]
    return token, new
