"""The clock of this machine: against what can be, against the audit log, and against the database and other nodes."""

from __future__ import annotations

from server.audit.repository import AuditRepository
from server.core.clock import EARLIEST_MS, Clock, rfc3339
from server.database.migration_files import latest_migration
from server.doctor.model import Case, Finding, ok, wrong
from server.nodes.model import NodeName
from server.nodes.repository import NodeRepository
from server.nodes.service import Nodes

TOPIC = "clock"
_REMEDY = "set it, and let NTP keep it"
# As much as clocks of nodes may differ (server/keys/keyring.py).
_SLACK_MS = 60_000


async def clock(now_by: Clock, audit: AuditRepository | None) -> list[Finding]:
    """Whether the time is possible. Without a store there is no log to compare with. Raises StoreUnavailable."""
    now = now_by.now_ms()
    if now < EARLIEST_MS:
        text = f"the clock says {rfc3339(now)}, which is before this program was made"
        return [wrong(TOPIC, text, _REMEDY)]
    head = None if audit is None else await audit.head()
    records = [] if audit is None or head is None or head.seq == 0 else await audit.records_from(head.seq, 1)
    if records and records[0].at > now + _SLACK_MS:
        text = f"the clock says {rfc3339(now)}, and the last record of the audit log is of {rfc3339(records[0].at)}"
        return [wrong(TOPIC, text, f"if the clock is behind, {_REMEDY}; else it was ahead when that was written")]
    later = ", later than the last record of the audit log" if records else ""
    return [ok(TOPIC, f"it is {rfc3339(now)}{later}")]


async def nodes(case: Case, repository: NodeRepository) -> list[Finding]:
    """Whether clocks and settings of all servers on this database fit together. Raises StoreUnavailable."""
    name = NodeName.of_this_process(case.ids.new_id())
    latest = latest_migration("postgres")
    here = Nodes(repository, case.settings, case.clock, name, latest_migration=latest)
    live = await repository.live()
    ahead = await here.clock_ahead()
    told = f"servers on this database: {', '.join(node.label for node in live) or 'none'}"
    clocks, others = [], []
    for found in await here.findings():
        text, _, remedy = found.text.partition("; ")
        if found.key[0] == "clock":
            clocks.append(wrong(TOPIC, text, remedy))
        else:
            others.append(wrong("nodes", text, remedy))
    return [
        *(clocks or [ok(TOPIC, f"it differs by {abs(ahead.ms)} ms from the clock of the database")]),
        *(others or [ok("nodes", told)]),
    ]
