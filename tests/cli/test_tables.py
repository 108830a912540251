from __future__ import annotations

import pytest

from server.cli.tables import Rows, visible


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("lak", "lak"),
        ("Bj\u00f6rn \u5c71", "Bj\u00f6rn \u5c71"),
        ("a\nb\x1b[2J\x9b", r"a\nb\u001b[2J\u009b"),
        ("\u202eab\u2066\u2028\ud800", r"\u202eab\u2066\u2028\ud800"),
        (5, "5"),
        (None, "null"),
        (["\u202e"], r'["\u202e"]'),
    ],
)
def test_a_value_is_one_line_and_does_nothing_to_a_terminal(value: object, shown: str) -> None:
    assert visible(value) == shown


def test_rows_stand_in_columns_also_when_wider_ones_come_later(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows("name", "id", aligned=True)
    rows.add([("lak", "1"), ("\u5c71\u7530\u5c71\u7530", "2")])
    rows.add([("somebody else", "3"), ("x", "")])
    assert capsys.readouterr().out.splitlines() == [
        "name      id",
        "lak       1",
        "\u5c71\u7530\u5c71\u7530  2",
        "somebody else  3",
        "x",
    ]


def test_a_line_of_any_length_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An identifier that is broken at 80 columns can't be copied."""
    Rows("kid", "state", aligned=True).add([("k" * 43, "s" * 200), ("k", "")])
    assert capsys.readouterr().out.splitlines()[1:] == [f"{'k' * 43}  {'s' * 200}", "k"]


def test_without_rows_there_are_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    Rows("name", "id").add(())
    assert capsys.readouterr().out == "name\tid\n"


def test_for_a_program_nothing_is_padded_and_an_empty_cell_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    Rows("name", "note", "id").add([("lak", "", "1"), ("x" * 1000, "a\tb", "")])
    assert capsys.readouterr().out == f"name\tnote\tid\nlak\t\t1\n{'x' * 1000}\ta\\tb\t\n"
