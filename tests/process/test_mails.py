"""Mails of servers that are killed, and of several at a time: what was acknowledged arrives."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from server.mail.sender import MOST_LANES
from server.repositories import open_repositories
from tests.calling import wait_until
from tests.listening import free_port
from tests.mail.mail_server import MailServer, mail_server
from tests.process.server_process import ServerProcess, serving
from tests.process.test_workers import ADDRESS, settings
from tests.volume import IS_FULL

ROUNDS = 30 if IS_FULL else 3
MAILS_OF_NODES = 500 if IS_FULL else 60
MAILS = {
    "WATCHWORD__MAIL__FROM": "Example <auth@mail.example>",
    "WATCHWORD__SERVER__PUBLIC_URL": "https://auth.example",
    "WATCHWORD__REGISTRATION__MODE": "invitation",
}


def invite(server: ServerProcess, token: str, address: str) -> None:
    """It is acknowledged, so the mail must arrive."""
    status, body = server.call("POST", "/invitations", {"email": address}, token)
    assert (status, body["mailed"]) == (201, True)


def message_ids(mails: MailServer) -> dict[str, Counter[str]]:
    """How often each message came, by recipient."""
    found: dict[str, Counter[str]] = {}
    for mail in mails.messages:
        found.setdefault(mail.recipient, Counter())[mail.message_id] += 1
    return found


async def let_claims_run_out(store_url: str) -> None:
    """Of a server on PostgreSQL that was killed. They would last for minutes."""
    store = await open_repositories(store_url, serving=False)
    await store.driver.write_one("UPDATE mails SET claimed_until = 0 RETURNING id")
    await store.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_between_commit_and_sending_loses_no_mail(tmp_path: Path, store_url: str, workers: int) -> None:
    """Each arrives once. In the window that SMTP leaves it arrives twice, and can be known by its Message-ID."""
    chance = random.Random(1)
    same = settings(store_url, workers) | MAILS | {ADDRESS: str(free_port())}
    invited: list[str] = []
    with mail_server() as mails, ExitStack() as stack:
        same |= {"WATCHWORD__MAIL__URL": mails.url}
        # As long as a real server takes, so the kill comes between two mails or in the middle of one.
        mails.replies["DATA"] = lambda _: time.sleep(chance.uniform(0, 0.02))

        def start() -> ServerProcess:
            return stack.enter_context(serving(tmp_path, log_to=None, module="server", **same))

        server = start()
        token = server.log_in("admin", server.admin_password())["token"]
        for number in range(ROUNDS):
            for one in range(chance.randrange(1, 8)):
                invited.append(f"round{number}-{one}@example.com")
                invite(server, token, invited[-1])
            time.sleep(chance.uniform(0, 0.15))
            server.process.kill()
            server.process.wait()
            if store_url.startswith("postgres"):
                asyncio.run(let_claims_run_out(store_url))
            server = start()
        wait_until(lambda: set(message_ids(mails)) == set(invited))
        assert server.stop() == 0
    found = message_ids(mails)
    assert {len(ids) for ids in found.values()} == {1}
    times = Counter(sum(ids.values()) for ids in found.values())
    # Each kill finds at most one mail of each conversation on its way; the same one only if it comes then again.
    assert sum(again * (count - 1) for count, again in times.items()) <= ROUNDS * MOST_LANES
    print(f"{ROUNDS} kills, {len(invited)} mails: {sorted(times.items())} as (arrivals, mails), none never")


def test_two_nodes_send_each_mail_once(tmp_path: Path, postgres_url: str) -> None:
    same = settings(postgres_url, 2) | MAILS
    with mail_server() as mails, ExitStack() as stack:
        same |= {"WATCHWORD__MAIL__URL": mails.url}
        nodes = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            nodes.append(stack.enter_context(serving(tmp_path / name, log_to=None, module="server", **same)))
        token = nodes[0].log_in("admin", nodes[0].admin_password())["token"]
        invited = [f"user{number}@example.com" for number in range(MAILS_OF_NODES)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(partial(_invite_at, nodes, token), range(MAILS_OF_NODES)))
        wait_until(lambda: {mail.recipient for mail in mails.messages} == set(invited))
        assert [node.stop() for node in nodes] == [0, 0]
    assert Counter(mail.recipient for mail in mails.messages) == Counter(invited)
    clients = {mail.connection for mail in mails.messages}
    print(f"{MAILS_OF_NODES} mails arrived once each, over {len(clients)} connections")


def _invite_at(nodes: list[ServerProcess], token: str, number: int) -> None:
    invite(nodes[number % len(nodes)], token, f"user{number}@example.com")
