"""A password that a shell has put something around is refused, not taken as it stands."""

from __future__ import annotations

import io

import pytest
import typer

from server.users.commands import read_password

PASSWORD = "brown otters juggle turnips"


def read(data: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    return read_password()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_password_is_read_as_it_was_meant(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(f"{PASSWORD}\r\n".encode(encoding), monkeypatch) == PASSWORD


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (f'"{PASSWORD}"\r\n'.encode(), "stands in quotation marks"),
        (f"'{PASSWORD}'".encode(), "stands in quotation marks"),
        (f"{PASSWORD} \r\n".encode(), "begins or ends with white space"),
        (f"{PASSWORD}\u00a0\n".encode(), "begins or ends with white space"),
        (f"{PASSWORD}\u200b\n".encode(), "has the character U+200B"),
        (f"{PASSWORD}\r\n".encode("utf-16-le"), "has the character U+0000"),
        (f"{PASSWORD}\x1b[D\n".encode(), "has the character U+001B"),
        (b"\xff\n", "is not UTF-8"),
        (b"\r\n", "there is no password"),
    ],
)
def test_what_can_not_be_meant_is_refused(data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        read(data, monkeypatch)
    assert reason in str(refused.value)
    assert PASSWORD not in str(refused.value)
