"""Starts the peers that are installed, and names those that are not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.load import posted
from tests.environment import ROOT

# `make bench` installs into these.
PYTHON = ROOT / ".venv-peers/bin/python"
NODE_FOLDER = Path(__file__).parent / "node"

PASSWORD = "brown otters juggle turnips"
_DEADLINE_SECONDS = 30


@dataclass(frozen=True)
class Peer:
    """An application of another framework. `module` is of Python, `script` of Node."""

    name: str
    module: str = ""
    script: tuple[str, ...] = ()
    username: str = "admin"

    def missing(self) -> str:
        """What keeps it from being measured; "" if nothing."""
        if self.module:
            return "" if PYTHON.exists() else f"no {PYTHON.relative_to(ROOT)}"
        if shutil.which("node") is None:
            return "no Node"
        return "" if (NODE_FOLDER / "node_modules").exists() else f"no packages in {NODE_FOLDER.relative_to(ROOT)}"

    def command(self) -> list[str]:
        if self.module:
            return [str(PYTHON), "-m", self.module]
        return ["node", *self.script]


FASTIFY_CACHED = Peer("Fastify + @fastify/jwt, its cache on", script=("fastify.js", "cache"))
FASTIFY = Peer("Fastify + @fastify/jwt", script=("fastify.js",))
FASTAPI = Peer("FastAPI + PyJWT", module="tests.bench.peers.fastapi_pyjwt")
EXPRESS_WITH_KEY = Peer("Express + jsonwebtoken, key made once", script=("express.js", "key"))
EXPRESS = Peer("Express + jsonwebtoken", script=("express.js",))
FASTAPI_USERS = Peer("fastapi-users", module="tests.bench.peers.with_fastapi_users", username="admin@example.com")
PEERS = (FASTIFY_CACHED, FASTIFY, EXPRESS_WITH_KEY, FASTAPI, EXPRESS, FASTAPI_USERS)


class RunningPeer:
    """A peer that has said where it listens. Those on FastAPI take a form to log in, the others JSON."""

    def __init__(self, peer: Peer, address: str, pid: int) -> None:
        self.address = address
        self.pid = pid
        given = {"username": peer.username, "password": PASSWORD}
        if peer.module:
            self._content, self._kind = urlencode(given).encode(), "application/x-www-form-urlencoded"
        else:
            self._content, self._kind = json.dumps(given).encode(), "application/json"

    def login_request(self) -> bytes:
        return posted("/login", self._content, self._kind)

    def token(self) -> str:
        request = urllib.request.Request(f"{self.address}/login", self._content, {"Content-Type": self._kind})  # noqa: S310 - our own http:// address
        with urllib.request.urlopen(request, timeout=_DEADLINE_SECONDS) as response:  # noqa: S310 - as above
            answer = json.loads(response.read())
        token: str = answer.get("token") or answer["access_token"]
        return token


@contextlib.contextmanager
def running(peer: Peer, folder: Path, bcrypt_cost: int) -> Iterator[RunningPeer]:
    """It keeps what it has to keep in `folder`, which is its own."""
    environment = os.environ | {
        "NODE_ENV": "production",
        "PYTHONPATH": str(ROOT),
        "PEER_PASSWORD": PASSWORD,
        "PEER_BCRYPT_COST": str(bcrypt_cost),
        "PEER_DATABASE": str(folder / "users.db"),
    }
    place = NODE_FOLDER if peer.script else ROOT
    with subprocess.Popen(peer.command(), cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, f"{peer.name} did not start"
            yield RunningPeer(peer, address, process.pid)
        finally:
            process.kill()
