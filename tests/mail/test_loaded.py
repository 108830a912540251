"""The transport in a server: on its event loop, with all that it needs loaded before the first mail."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from server.mail.transport.model import Outcome, Sending
from tests.certificates import Authority
from tests.environment import ROOT, environment
from tests.mail.mail_server import mail_server
from tests.mail.transport.raw_server import Bad, raw_server
from tests.mail.transport.sending import SHORT, outgoing, sent, transport_to

# What is loaded and opened for the first mails, when a server may have no descriptor left for it.
_SCRIPT = """
import sys, uvloop
from server.core.clock import SystemClock
from server.core.ids import Ids, SystemRandomness
from server.mail.model import MailKind
from server.mail.rendering.renderer import MailRenderer
from server.mail.transport.model import OutgoingMail
from server.mail.transport.transports import transport_of
from server.settings import Settings

settings = Settings.model_validate(
    {"mail": {"url": sys.argv[1], "from": "auth@example.com"}, "server": {"public_url": "https://auth.example.com"}}
)
transport = transport_of(settings, Ids(SystemClock(), SystemRandomness()))
renderer = MailRenderer.of(settings)

async def send():
    before = set(sys.modules)
    async with transport.session() as session:
        for recipient in ("lak@example.com", "lak@ex\\u00e4mple.com", "l\\u00e4k@example.com"):
            message = renderer.render(
                MailKind.TEST, None, {}, recipient=recipient, message_id="<1@example.com>", date_at=1_790_000_000_000
            )
            print((await session.send(OutgoingMail(recipient, message))).outcome)
    print(*sorted(set(sys.modules) - before))

uvloop.run(send())
"""


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_the_first_mail_loads_no_module(tmp_path: Path, security: str) -> None:
    authority = Authority(tmp_path / "authority.pem")
    certificate = authority.server("localhost")
    login = ("watchword", "secret")
    with mail_server(
        "starttls" if security == "starttls" else "smtps", tls=certificate, login=login, host="localhost"
    ) as server:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, server.url],
            cwd=ROOT,
            env=environment(SSL_CERT_FILE=str(authority.path)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("sent\nsent\nsent\n\n", "")
        assert {one.tls for one in server.messages} == {True}


def test_a_folder_needs_no_module_either(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, f"file://{tmp_path}/mails"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("sent\nsent\nsent\n\n", "")
    assert len(list((tmp_path / "mails").iterdir())) == 3


def test_without_mail_the_client_is_not_loaded() -> None:
    """It takes 80 ms."""
    script = "import sys, server.app; print('aiosmtplib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_on_the_event_loop_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop has connections and TLS of its own."""
    authority = Authority(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))

    async def send(url: str) -> Sending:
        (ended,) = await sent(transport_to(url, SHORT), outgoing())
        return ended

    async def bad() -> list[Sending]:
        endings = []
        for at, reply in (("EHLO", Bad.DROP), ("MAIL", Bad.MUTE), ("RCPT", Bad.ENDLESS_LINES)):
            async with raw_server({at: reply}) as server:
                endings.append(await send(server.url))
        return endings

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for security in ("starttls", "smtps"):
            for host, outcome in (("127.1", Outcome.SENT), ("mail.example.com", Outcome.UNREACHABLE)):
                with mail_server(
                    "starttls" if security == "starttls" else "smtps", tls=authority.server(host), host="127.1"
                ) as server:
                    ended = runner.run(send(server.url))
                    assert ended.outcome is outcome
                    assert ("its certificate is refused: Hostname mismatch" in ended.reason) is (host != "127.1")
        reasons = [ended.reason.partition(": ")[2] for ended in runner.run(bad())]
    assert reasons == ["the connection was lost", "no answer in time", "no reply of SMTP: Response too long"]
