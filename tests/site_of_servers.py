"""Several servers on one store, with the users `lak` and the admin `sahan`, and commands beside them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.calling import Caller
from tests.in_process import LocalServer, run, serving
from tests.running import MASTER_KEY, PASSWORD

on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


class Site:
    """A store, and the servers and commands that use it."""

    def __init__(self, folder: Path, store_url: str, stack: ExitStack) -> None:
        self.folder = folder
        self.settings = {"WATCHWORD__STORE__URL": store_url, "WATCHWORD__KEYS__MASTER_KEY": MASTER_KEY}
        self.stack = stack
        for username, role in (("lak", "customer"), ("sahan", "admin")):
            options = ("--username", username, "--role", role, "--password-stdin")
            self.command("users", "create", *options, stdin=PASSWORD)

    def command(self, *arguments: str, stdin: str = "") -> None:
        done = run(self.folder, *arguments, stdin=stdin, **self.settings)
        assert done.returncode == 0, done.stderr

    def serve_here(self) -> LocalServer:
        """A server in this process."""
        return self.stack.enter_context(serving(self.folder, **self.settings))


def refresh(server: Caller, token: str) -> tuple[int, dict[str, Any]]:
    return server.call("POST", "/refresh", {"refresh_token": token})
