"""Servers that are mute, slow, refusing, lying or hostile: a reason in one line, and nothing lost."""

from __future__ import annotations

import asyncio

import pytest

from server.mail.transport.model import Outcome, Sending
from server.mail.transport.reasons import LONGEST_REASON, secrets_of
from tests.listening import free_port
from tests.mail.mail_server import mail_server
from tests.mail.transport.raw_server import GREETING, MAIL_END, Bad, RawServer, Reply, raw_server
from tests.mail.transport.sending import SHORT, outgoing, sent, transport_to

SENT = Sending(Outcome.SENT)
# The resolver takes it for 127.0.0.1, the settings don't: a server on another machine.
ELSEWHERE = "127.1"
PROMISE = b"250-raw.test\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


async def _one(url: str) -> Sending:
    (ended,) = await asyncio.wait_for(sent(transport_to(url, SHORT), outgoing()), 10)
    assert len(ended.reason) <= LONGEST_REASON
    assert ended.reason.isprintable()
    return ended


async def test_nobody_listens() -> None:
    port = free_port()
    assert await _one(f"smtp://127.0.0.1:{port}") == Sending(
        Outcome.UNREACHABLE, f"127.0.0.1:{port}: Connection refused"
    )


async def test_a_name_that_leads_nowhere() -> None:
    ended = await _one("smtp://no-such-host.invalid")
    assert ended.outcome is Outcome.UNREACHABLE
    assert ended.reason.startswith("no-such-host.invalid:587: ")


async def test_a_name_that_is_none() -> None:
    ended = await _one(f"smtp://{'x' * 64}.example.com")
    assert (ended.outcome, ended.reason.rpartition(": ")[2]) == (Outcome.UNREACHABLE, "its name is no name of a host")


@pytest.mark.parametrize(
    ("at", "reply", "reason"),
    [
        (GREETING, Bad.MUTE, "no answer in time"),
        (GREETING, Bad.DROP, "the connection was lost"),
        (GREETING, b"421 too busy\r\n", "421 too busy"),
        (GREETING, b"554 go away\r\n", "554 go away"),
        (GREETING, b"HTTP/1.1 400 Bad Request\r\n", "no reply of SMTP: Malformed SMTP response line"),
        (GREETING, Bad.ENDLESS_LINE, "no reply of SMTP: Response too long"),
        ("EHLO", Bad.MUTE, "no answer in time"),
        ("EHLO", Bad.DROP, "the connection was lost"),
        ("EHLO", b"421 going down\r\n", "refuses our greeting: 421 going down"),
        ("EHLO", b"550 who are you?\r\n", "refuses our greeting: 550 who are you?"),
        ("EHLO", Bad.ENDLESS_LINES, "no reply of SMTP: Response too long"),
        ("MAIL", b"421 too many mails\r\n", "421 too many mails"),
        ("MAIL", b"530 5.7.0 login first\r\n", "530 5.7.0 login first"),
        ("MAIL", Bad.DROP, "the connection was lost"),
        ("MAIL", Bad.MUTE, "no answer in time"),
    ],
)
async def test_what_is_wrong_with_the_whole_server(at: str, reply: Reply, reason: str) -> None:
    async with raw_server({at: reply}) as server:
        ended = await _one(server.url)
    assert ended.outcome is Outcome.UNREACHABLE
    assert ended.reason.startswith(f"127.0.0.1:{server.port}")
    assert reason in ended.reason


@pytest.mark.parametrize(
    ("at", "reply", "outcome", "reason"),
    [
        ("MAIL", b"451 later\r\n", Outcome.LATER, "the sender is refused: 451 later"),
        ("MAIL", b"552 too large\r\n", Outcome.REFUSED, "the sender is refused: 552 too large"),
        ("RCPT", b"421 one moment\r\n", Outcome.LATER, "the recipient is refused: 421 one moment"),
        ("RCPT", b"450 greylisted\r\n", Outcome.LATER, "the recipient is refused: 450 greylisted"),
        ("RCPT", b"530 login first\r\n", Outcome.LATER, "the recipient is refused: 530 login first"),
        ("RCPT", b"550 unknown\r\n", Outcome.REFUSED, "the recipient is refused: 550 unknown"),
        ("RCPT", b"552 full\r\n", Outcome.REFUSED, "the recipient is refused: 552 full"),
        ("RCPT", b"354 what?\r\n", Outcome.LATER, "the recipient is refused: 354 what?"),
        ("RCPT", b"000 \0\r\n", Outcome.LATER, "the recipient is refused: no reply of SMTP:"),
        ("RCPT", Bad.DROP, Outcome.LATER, "the connection was lost"),
        ("RCPT", Bad.MUTE, Outcome.LATER, "no answer in time"),
        ("RCPT", Bad.ENDLESS_LINES, Outcome.LATER, "no reply of SMTP: Response too long"),
        ("DATA", b"451 not now\r\n", Outcome.LATER, "the mail is refused: 451 not now"),
        ("DATA", b"554 no valid recipients\r\n", Outcome.REFUSED, "the mail is refused: 554 no valid recipients"),
        ("DATA", b"250 fine\r\n", Outcome.LATER, "the mail is refused: 250 fine"),
        ("DATA", Bad.DROP, Outcome.LATER, "the connection was lost"),
        ("DATA", Bad.MUTE, Outcome.LATER, "no answer in time"),
        (MAIL_END, b"421 going down\r\n", Outcome.LATER, "the mail is refused: 421 going down"),
        (MAIL_END, b"452 disk full\r\n", Outcome.LATER, "the mail is refused: 452 disk full"),
        (MAIL_END, b"550 spam\r\n", Outcome.REFUSED, "the mail is refused: 550 spam"),
        (MAIL_END, b"554 5.7.1\r\n", Outcome.REFUSED, "the mail is refused: 554 5.7.1"),
        # The server may have the mail. It comes again with the same Message-ID.
        (MAIL_END, Bad.DROP, Outcome.LATER, "the connection was lost"),
        (MAIL_END, Bad.MUTE, Outcome.LATER, "no answer in time"),
        (MAIL_END, Bad.ENDLESS_LINES, Outcome.LATER, "no reply of SMTP: Response too long"),
        (MAIL_END, Bad.ENDLESS_LINE, Outcome.LATER, "no reply of SMTP: Response too long"),
    ],
)
async def test_what_is_wrong_with_one_mail(at: str, reply: Reply, outcome: Outcome, reason: str) -> None:
    async with raw_server({at: reply}) as server:
        ended = await _one(server.url)
    assert ended.outcome is outcome
    assert reason in ended.reason


@pytest.mark.parametrize("at", ["RCPT", "DATA", MAIL_END])
@pytest.mark.parametrize("bad", [Bad.DROP, Bad.MUTE, b"421 bye\r\n"])
async def test_the_next_mail_gets_a_new_connection(at: str, bad: Reply) -> None:
    async with raw_server({at: bad}) as server:
        async with transport_to(server.url, SHORT).session() as session:
            assert (await session.send(outgoing())).outcome is Outcome.LATER
            server.replies.clear()
            assert await session.send(outgoing()) == SENT
        assert server.connections == 2


@pytest.mark.parametrize("bad", [Bad.DROP, Bad.MUTE, b"421 idle for too long\r\n", b"502 what?\r\n"])
async def test_a_connection_that_has_ended_between_two_mails_is_no_failure(bad: Reply) -> None:
    async with raw_server({"RSET": bad}) as server:
        assert await sent(transport_to(server.url, SHORT), outgoing(), outgoing()) == [SENT] * 2
        assert server.connections == 2


@pytest.mark.parametrize("bad", [Bad.DROP, Bad.MUTE, b"500 \xff\xfe\r\n", Bad.ENDLESS_LINES])
async def test_a_goodbye_that_fails_does_no_harm(bad: Reply) -> None:
    async with raw_server({"QUIT": bad}) as server:
        assert await _one(server.url) == SENT


async def test_without_tls_nothing_is_sent_to_another_machine() -> None:
    """RFC 3207 section 6: somebody on the way may take STARTTLS out of the reply."""
    async with raw_server() as server:
        url = f"smtp://watchword:secret@{ELSEWHERE}:{server.port}"
        for ended in await sent(transport_to(url, SHORT), outgoing(), outgoing()):
            assert ended.outcome is Outcome.UNREACHABLE
            assert ended.reason.startswith(f"TLS is not offered by {ELSEWHERE}:{server.port}")
        assert {line.split(" ")[0] for line in server.heard} == {"EHLO", "QUIT"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"454 TLS not available\r\n", "refuses TLS: 454 TLS not available"),
        (b"502 no\r\n", "refuses TLS: 502 no"),
        (Bad.DROP, "the connection was lost"),
        (Bad.MUTE, "no answer in time"),
    ],
)
async def test_tls_that_is_promised_and_not_given(reply: Reply, reason: str) -> None:
    async with raw_server({"EHLO": PROMISE, "STARTTLS": reply}) as server:
        ended = await _one(f"smtp://watchword:secret@{ELSEWHERE}:{server.port}")
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)
    assert ended.outcome is Outcome.UNREACHABLE
    assert reason in ended.reason


async def test_a_server_that_goes_on_in_the_clear_behind_starttls() -> None:
    """RFC 3207 section 6."""
    async with raw_server({"EHLO": PROMISE, "STARTTLS": b"220 go on\r\n"}) as server:
        server.after_starttls = b"250 in the clear\r\n"
        ended = await _one(f"smtp://watchword:secret@{ELSEWHERE}:{server.port}")
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)
    assert ended.outcome is Outcome.UNREACHABLE
    assert "TLS failed" in ended.reason


async def test_tls_from_the_first_byte_with_a_server_that_has_none() -> None:
    async with raw_server() as server:
        ended = await _one(server.url.replace("smtp://", "smtps://"))
    assert ended.outcome is Outcome.UNREACHABLE
    assert "TLS failed" in ended.reason


async def test_on_this_machine_tls_is_not_required() -> None:
    with mail_server() as server:
        assert await _one(server.url) == SENT
        assert [one.tls for one in server.messages] == [False]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"535 5.7.8 wrong\r\n", "refuses the login: 535 5.7.8 wrong"),
        (b"454 try later\r\n", "refuses the login: 454 try later"),
        (b"421 too many failures\r\n", "refuses the login: 421 too many failures"),
        (Bad.DROP, "the connection was lost"),
        (Bad.MUTE, "no answer in time"),
    ],
)
async def test_a_login_that_fails(reply: Reply, reason: str) -> None:
    async with raw_server({"EHLO": b"250-raw.test\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": reply}) as server:
        ended = await _one(f"smtp://watchword:secret@127.0.0.1:{server.port}")
        # A second way to say the same password would only count as a second failure.
        assert [line for line in server.heard if line.startswith("AUTH")] == ["AUTH PLAIN AHdhdGNod29yZABzZWNyZXQ="]
    assert ended.outcome is Outcome.UNREACHABLE
    assert reason in ended.reason


@pytest.mark.parametrize("offered", [b"8BITMIME", b"AUTH CRAM-MD5 XOAUTH2"])
async def test_a_server_that_offers_no_login_by_a_password(offered: bytes) -> None:
    async with raw_server({"EHLO": b"250-raw.test\r\n250 " + offered + b"\r\n"}) as server:
        ended = await _one(f"smtp://watchword:secret@127.0.0.1:{server.port}")
    assert ended.outcome is Outcome.UNREACHABLE
    assert "offers no login by a password" in ended.reason


async def test_a_server_that_repeats_the_password_does_not_bring_it_into_the_log() -> None:
    password = "a very secret one"
    forms = secrets_of("watchword", password)
    assert len(forms) == 3
    reply = " ".join(["535 you said", *forms]) + "\r\n"
    async with raw_server({"EHLO": b"250-raw.test\r\n250 AUTH PLAIN\r\n", "AUTH": reply.encode()}) as server:
        ended = await _one(f"smtp://watchword:a%20very%20secret%20one@127.0.0.1:{server.port}")
    assert "535 you said *** *** ***" in ended.reason


@pytest.mark.parametrize(
    "text",
    [
        b"\x1b[2J\x1b[31m red \x07",
        b"\xff\xfe\x80",
        b"a\0b",
        "\u202e evil \u200b text \u2028".encode(),
        b"y" * 8000,
        b"%s %d {}",
    ],
)
async def test_hostile_text_becomes_one_short_line(text: bytes) -> None:
    async with raw_server({"RCPT": b"550-" + text + b"\r\n550 " + text + b"\r\n"}) as server:
        ended = await _one(server.url)
    assert ended.outcome is Outcome.REFUSED
    assert ended.reason.startswith("the recipient is refused: 550")
    assert "\x1b" not in ended.reason


async def test_a_server_that_is_slow_with_each_step_is_given_up() -> None:
    """Each answer comes in time, and all together would take for ever."""

    class Slow(RawServer):
        async def pause(self) -> None:
            await asyncio.sleep(SHORT.command_seconds * 0.8)

    async with raw_server(kind=Slow) as server:
        ended = await _one(server.url)
    assert (ended.outcome, ended.reason.rpartition(": ")[2]) == (Outcome.LATER, "no answer in time")


async def test_who_gives_up_in_the_middle_of_a_mail_sends_nothing_more() -> None:
    asked = asyncio.Event()

    class Asked(RawServer):
        async def pause(self) -> None:
            if self.heard and self.heard[-1].startswith("RCPT"):
                asked.set()

    async with raw_server({"RCPT": Bad.MUTE}, Asked) as server:

        async def send() -> None:
            async with transport_to(server.url).session() as session:
                await session.send(outgoing())

        task = asyncio.create_task(send())
        await asyncio.wait_for(asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.heard[-1].startswith("RCPT")
