"""What a run measured, beside the aim: the table at the end of `make bench` and of `make faults`."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured value. `aim` is "" where the value is only told."""

    what: str
    found: str
    aim: str = ""
    reached: bool = True


@dataclass
class Figures:
    """All of a run, in the order in which they were measured."""

    rows: list[Figure] = field(default_factory=list)

    def at_most(self, what: str, found: float, aim: float, unit: str = "") -> None:
        self.rows.append(Figure(what, _text(found, unit), f"at most {_text(aim, unit)}", found <= aim))

    def at_least(self, what: str, found: float, aim: float, unit: str = "") -> None:
        self.rows.append(Figure(what, _text(found, unit), f"at least {_text(aim, unit)}", found >= aim))

    def told(self, what: str, found: float | str, unit: str = "") -> None:
        """A value without an aim."""
        self.rows.append(Figure(what, found if isinstance(found, str) else _text(found, unit)))

    def show(self) -> None:
        if not self.rows:
            return
        table = Table("figure", "found", "aim", "", box=None, pad_edge=False)
        for row in self.rows:
            table.add_row(row.what, row.found, row.aim, "" if row.reached else "NOT REACHED")
        Console(soft_wrap=True).print(table)


def _text(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()
