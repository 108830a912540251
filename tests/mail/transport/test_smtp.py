"""Mails over SMTP, to a server that behaves."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.mail.transport.model import Outcome, OutgoingMail, Sending
from server.mail.transport.smtp_connection import SmtpConnection
from tests.certificates import Authority
from tests.mail.mail_server import mail_server
from tests.mail.transport.sending import LAK, SENDER, outgoing, sent, transport_to

SENT = Sending(Outcome.SENT)
# The resolver takes it for 127.0.0.1, the settings don't: a server on another machine.
ELSEWHERE = "127.1"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Its certificates are trusted in this test."""
    made = Authority(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


async def test_a_mail_arrives_as_it_was_written() -> None:
    text = "Grüße,\n.\n..two dots, and a dot alone\n" + "ein sehr langes Wort " * 100 + "\n"
    with mail_server() as server:
        assert await sent(transport_to(server.url), outgoing(text=text)) == [SENT]
        (message,) = server.messages
    assert (message.sender, message.recipient) == (SENDER, LAK)
    assert message.text == text
    assert message.message_id == "<1@example.com>"
    assert message.raw.isascii()
    assert max(map(len, message.raw.splitlines())) < 998


async def test_several_mails_share_a_connection_that_is_reset_between_them_and_ended_in_order() -> None:
    with mail_server() as server:
        mails = [outgoing(f"user{number}@example.com", number=number) for number in range(3)]
        assert await sent(transport_to(server.url), *mails) == [SENT] * 3
        assert server.ends == ["DATA", "RSET", "DATA", "RSET", "DATA", "QUIT"]
        assert server.connections == 1
        assert [one.recipient for one in server.messages] == [mail.recipient for mail in mails]


async def test_a_connection_takes_100_mails() -> None:
    with mail_server() as server:
        assert await sent(transport_to(server.url), *(outgoing(number=number) for number in range(101))) == [SENT] * 101
        assert [one.connection for one in server.messages] == [1] * 100 + [2]


@pytest.mark.parametrize("security", ["starttls", "smtps"])
async def test_tls_with_a_login(authority: Authority, security: str) -> None:
    login = ("watch@word", "p:/@ ü%")
    with mail_server(
        "starttls" if security == "starttls" else "smtps",
        tls=authority.server(ELSEWHERE),
        login=login,
        host=ELSEWHERE,
    ) as server:
        assert await sent(transport_to(server.url), outgoing(), outgoing()) == [SENT] * 2
        assert {(one.tls, one.login) for one in server.messages} == {(True, login[0])}


async def test_on_this_machine_tls_is_used_if_the_login_needs_it(authority: Authority) -> None:
    with mail_server("starttls", tls=authority.server("127.0.0.1"), login=("watchword", "secret")) as server:
        assert await sent(transport_to(server.url), outgoing()) == [SENT]
        assert [one.tls for one in server.messages] == [True]


async def test_a_login_without_tls_is_for_this_machine_alone() -> None:
    with mail_server(login=("watchword", "secret"), host=ELSEWHERE) as server:
        (failed,) = await sent(transport_to(server.url), outgoing())
        assert failed.outcome is Outcome.UNREACHABLE
        assert failed.reason.startswith("TLS is not offered")
        url = server.url.replace(ELSEWHERE, "127.0.0.1")
        assert await sent(transport_to(url), outgoing()) == [SENT]
        assert [one.login for one in server.messages] == ["watchword"]


async def test_what_this_server_calls_itself() -> None:
    with mail_server() as server:
        await sent(transport_to(server.url), outgoing())
        await sent(transport_to(server.url, own_name="auth.example.com"), outgoing())
        assert [one.client for one in server.messages] == ["[127.0.0.1]", "auth.example.com"]


@pytest.mark.parametrize(
    ("recipient", "arrives_as", "utf8"),
    [
        ("lak@exämple.com", "lak@xn--exmple-cua.com", False),
        ("läk@example.com", "läk@example.com", True),
        ("läk@exämple.com", "läk@xn--exmple-cua.com", True),
    ],
)
async def test_letters_beyond_ascii_need_smtputf8_only_before_the_at(
    recipient: str, arrives_as: str, utf8: bool
) -> None:
    with mail_server() as server:
        mail = OutgoingMail(recipient, outgoing(arrives_as).message)
        assert await sent(transport_to(server.url), mail) == [SENT]
        (message,) = server.messages
    assert (message.recipient, message.utf8) == (arrives_as, utf8)
    assert arrives_as in str(message.message["To"])


async def test_a_server_without_smtputf8_gets_no_such_mail() -> None:
    with mail_server(utf8=False) as server:
        refused, after = await sent(transport_to(server.url), outgoing("läk@example.com"), outgoing())
        assert refused.outcome is Outcome.REFUSED
        assert "SMTPUTF8" in refused.reason
        assert after == SENT


async def test_a_mail_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    message = outgoing().message
    addresses = ("lak@ä..com", "lak@example.com>\r\nRCPT TO:<moore@example.com")
    with mail_server() as server:
        *refused, after = await sent(
            transport_to(server.url), *(OutgoingMail(address, message) for address in addresses), outgoing()
        )
        assert {one.outcome for one in refused} == {Outcome.REFUSED}
        assert after == SENT
        assert [one.recipient for one in server.messages] == [LAK]


async def test_a_defect_of_ours_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as server, capture_logs() as logs:
        async with transport_to(server.url).session() as session:
            with monkeypatch.context() as patched:
                patched.setattr(SmtpConnection, "recipient", lambda *_: 1 / 0)
                failed = await session.send(outgoing())
            assert failed == Sending(Outcome.LATER, "something went wrong here (ZeroDivisionError)")
            assert await session.send(outgoing()) == SENT
        assert server.connections == 2
    assert [line["event"] for line in logs] == ["a mail can't be sent"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("550 5.1.1 no such user", Outcome.REFUSED), ("451 4.7.1 come back later", Outcome.LATER)],
)
@pytest.mark.parametrize(
    ("command", "words"), [("MAIL", "the sender"), ("RCPT", "the recipient"), ("DATA", "the mail")]
)
async def test_a_refusal_is_for_good_or_for_now_by_its_code_and_concerns_one_mail(
    command: str, words: str, code: str, outcome: Outcome
) -> None:
    """RFC 5321 section 4.2.1."""
    with mail_server() as server:
        first = iter([code])
        server.replies[command] = lambda _: next(first, None)
        refused, after = await sent(transport_to(server.url), outgoing(), outgoing())
        assert refused == Sending(outcome, f"{words} is refused: {code}")
        assert after == SENT
        assert server.connections == 1


@pytest.mark.parametrize("security", ["starttls", "smtps"])
@pytest.mark.parametrize(
    ("hosts", "ends", "reason"),
    [
        (["mail.example.com"], dt.timedelta(hours=1), "mismatch"),
        (["127.0.0.1", "localhost"], -dt.timedelta(hours=1), "expired"),
    ],
)
async def test_a_certificate_that_is_wrong(
    authority: Authority, security: str, hosts: list[str], ends: dt.timedelta, reason: str
) -> None:
    with mail_server(
        "starttls" if security == "starttls" else "smtps", tls=authority.server(*hosts, until=ends), login=("a", "b")
    ) as server:
        (failed,) = await sent(transport_to(server.url), outgoing())
        assert failed.outcome is Outcome.UNREACHABLE
        assert f"127.0.0.1:{server.port}: its certificate is refused: " in failed.reason
        assert reason in failed.reason


async def test_an_authority_that_is_not_known(tmp_path: Path) -> None:
    unknown = Authority(tmp_path / "unknown.pem")
    with mail_server("smtps", tls=unknown.server("127.0.0.1")) as server:
        (failed,) = await sent(transport_to(server.url), outgoing())
        assert failed.outcome is Outcome.UNREACHABLE
        assert "its certificate is refused: unable to get local issuer certificate" in failed.reason


async def test_a_login_that_is_refused_stops_all_and_shows_no_password(authority: Authority) -> None:
    with mail_server("smtps", tls=authority.server("127.0.0.1"), login=("watchword", "right")) as server:
        url = server.url.replace(":right@", ":wrong@")
        for failed in await sent(transport_to(url), outgoing(), outgoing()):
            assert failed.outcome is Outcome.UNREACHABLE
            assert f"127.0.0.1:{server.port} refuses the login: 535" in failed.reason
            assert "wrong" not in failed.reason
        assert server.messages == []


async def test_a_server_that_wants_a_login_is_not_the_fault_of_a_mail() -> None:
    """RFC 4954 section 6."""
    with mail_server(login=("watchword", "right")) as server:
        (failed,) = await sent(transport_to(f"smtp://127.0.0.1:{server.port}"), outgoing())
        assert failed.outcome is Outcome.UNREACHABLE
        assert "530 5.7.0 Authentication required" in failed.reason
