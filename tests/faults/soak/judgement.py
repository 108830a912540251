"""What a run has shown, beside its aims."""

from __future__ import annotations

from tests.faults.soak.run import GROWING, Outcome
from tests.figures import Figures

# A page is 4 KB, and after 1,000 of them SQLite writes the log back. A backup that reads may hold that up.
_WAL_BYTES = 16_000_000
_OF_PROC = {"Rss", "Pss", "descriptors", "threads", "WAL", "tasks"}
_MB = 1e6
# Whether a table grows is seen when all that is in it has had the time to end: tokens and keys live for minutes here.
LONG_SECONDS = 600
# Of a short run. Caches fill up, and the allocator keeps what it had at the busiest moment.
_SHORT_MEMORY = 60e6
_SHORT_COUNT = 20
# Statuses of which each has its own way through the server. 503 and 429 depend on how busy the machine is.
STATUSES = {200, 201, 202, 204, 303, 304, 400, 401, 404, 405, 408, 413, 415, 422}


def check(outcome: Outcome) -> None:
    """What holds for a run of any length. Raises AssertionError."""
    assert outcome.failures == [], outcome.failures[:5]
    assert outcome.faults == [], outcome.faults[:5]
    assert outcome.not_called == [], "the load does not cover these routes"
    assert outcome.statuses >= STATUSES, STATUSES - outcome.statuses
    assert outcome.reloads > 0
    assert outcome.commands > 0
    samples = outcome.samples
    if "WAL" in samples.taken:
        assert samples.most("WAL") < _WAL_BYTES
    assert samples.growth("Pss") < _SHORT_MEMORY
    for what in ("descriptors", "threads", "tasks"):
        assert samples.growth(what) < _SHORT_COUNT, samples.taken[what]


def tell(outcome: Outcome, figures: Figures, name: str) -> None:
    """Slopes are those of the second half. Those of a short run say nothing, and are not there."""
    samples = outcome.samples
    figures.told(f"{name}: requests, in {outcome.seconds:.0f} s", outcome.answers)
    figures.told(f"{name}: commands, reloads", f"{outcome.commands}, {outcome.reloads}")
    if outcome.late:
        figures.told(f"{name}: lives cut short, since the machine is busy or a key was revoked", outcome.late)
    if "WAL" in samples.taken:
        figures.at_most(f"{name}: write-ahead log at most", samples.most("WAL") / _MB, _WAL_BYTES / _MB, "MB")
    figures.told(f"{name}: memory (Pss) at most", samples.most("Pss") / _MB, "MB")
    if outcome.seconds < LONG_SECONDS:
        return
    figures.at_most(f"{name}: memory (Rss) in 10 minutes", samples.per_ten_minutes("Rss") / _MB, 5, "MB")
    # It also grows where another program ends that had the same libraries.
    figures.told(f"{name}: memory (Pss) in 10 minutes", samples.per_ten_minutes("Pss") / _MB, "MB")
    for what in ("descriptors", "threads", "tasks"):
        figures.at_most(f"{name}: {what} more in 10 minutes", samples.per_ten_minutes(what), 2)
    tables = samples.taken.keys() - _OF_PROC
    for table in sorted(GROWING & tables):
        figures.told(f"{name}: {table} more in 10 minutes, by design", samples.per_ten_minutes(table), "rows")
    grown = sorted(table for table in tables - GROWING if samples.has_grown(table))
    figures.at_most(f"{name}: other tables that have grown" + ": ".join(["", *grown]), len(grown), 0)


def told_of_all(outcome: Outcome) -> str:
    """Each figure over time, for whoever looks for a leak."""
    lines = []
    for what, points in outcome.samples.taken.items():
        values = [value for _, value in points]
        some = values[:: max(1, len(values) // 20)]
        slope = outcome.samples.per_ten_minutes(what)
        lines.append(f"{what}: {slope:+,.1f} in 10 minutes; " + " ".join(f"{value:,.0f}" for value in some))
    return "\n".join(lines)
