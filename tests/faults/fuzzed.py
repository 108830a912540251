"""A server that is told all sorts of things, and what its log may not have afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.process.server_process import ServerProcess, serving
from tests.running import MASTER_KEY, PASSWORD

PUBLIC_URL = "http://127.0.0.1:9"
ROLES = ("admin", "moderator", "customer")

# All doors are open, and no budget ends before the test does.
_SETTINGS = """
[server]
public_url = "{public_url}"
trusted_proxies = ["127.0.0.0/8"]
body_timeout_seconds = 1
[store]
url = "{store_url}"
pool_size = 3
[keys]
master_key = "{master_key}"
[registration]
mode = "open"
[limits]
account_guesses = 100
address_guesses_per_hour = 1000000
all_guesses_per_hour = 3600000
account_mails_per_hour = 1000
address_mails_per_hour = 1000000
all_mails_per_hour = 3600000
[cors]
origins = ["https://app.example.com"]
[logs]
format = "json"
[roles.admin]
includes = ["customer"]
[roles.customer]
[roles.moderator]
includes = ["customer"]
[access]
"GET /users" = ["moderator", "admin"]
"GET /mails" = ["moderator", "admin"]
"""
_MAIL = """
[mail]
url = "file://{folder}/mails"
from = "auth@mail.example"
sign_in_codes = true
"""


@contextlib.contextmanager
def fuzzed(
    folder: Path, store_url: str, environment: dict[str, str], *, mail: bool = True, users: int = 1
) -> Iterator[tuple[ServerProcess, Path]]:
    """The server and its log. `users` of each role are there: admin0, moderator0, customer0 and so on."""
    (folder / "mails").mkdir()
    text = _SETTINGS.format(public_url=PUBLIC_URL, store_url=store_url, master_key=MASTER_KEY)
    if mail:
        text += _MAIL.format(folder=folder)
    (folder / "config.toml").write_text(text)
    log = folder / "log.jsonl"
    with serving(folder, log_to=log, **environment) as server:
        token = server.log_in("admin", server.admin_password())["token"]
        for role in ROLES:
            for number in range(users):
                name = f"{role}{number}"
                user = {"username": name, "name": name, "role": role, "password": PASSWORD}
                user["email"] = f"{name}@mail.example"
                assert server.call("POST", "/users", user, token)[0] == 201
        yield server, log


def faults_in(log: Path) -> list[str]:
    """Lines of a log that no request may cause, whatever it is: failures of the server, and what is no JSON."""
    found = []
    for line in log.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if entry["event"] == "request":
            # 503 is the documented answer of a server that can't do more at the moment.
            is_fault = entry["status"] >= 500 and entry["status"] != 503
        else:
            is_fault = entry.get("level") in {"error", "critical"} or "exception" in entry
        if is_fault:
            found.append(line)
    return found
