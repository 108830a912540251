"""The trusted proxies, against the addresses that logins have come from.

The audit log has the address of each login as the server knew it. That shows what arrives: behind a proxy that is not
trusted all logins have its address, and so have those of a trusted one that does not pass on who asks.
"""

from __future__ import annotations

import json

from server.audit.model import AuditEvent, AuditFilter
from server.audit.repository import AuditRepository
from server.core.addresses import Address, address_of
from server.doctor.model import Case, Finding, note, ok, warning

TOPIC = "proxies"
_LOGINS = 200
# Fewer may all be from the machine of the operator.
_ENOUGH = 5


async def proxies(case: Case, audit: AuditRepository) -> list[Finding]:
    """What the last logins show. Raises StoreUnavailable."""
    records = await audit.find(AuditFilter(limit=_LOGINS, event=AuditEvent.LOGIN_SUCCEEDED.value))
    parsed = [address_of(record.ip) for record in records if record.ip is not None]
    addresses = [address for address in parsed if address is not None]
    different = set(addresses)
    trusted = case.settings.server.trusted_networks
    own = [address for address in addresses if any(address in network for network in trusted)]
    count = f"the last {len(addresses)} logins" if len(addresses) > 1 else "the last login"
    if not addresses:
        names = ", ".join(case.settings.server.trusted_proxies) or "none"
        return [note(TOPIC, f"trusted: {names}; there was no login yet, so nothing shows what arrives")]
    if own and len(own) == len(addresses):
        there = f"{_names(different)} itself, a trusted proxy"
        text = f"{count} came from {there}: somebody logged in there, or it does not say for whom it asks"
        remedy = "then let it set X-Forwarded-For or Forwarded (docs/proxies.md), and not pass on a client's Forwarded"
        return [_graded(text, remedy, len(addresses))]
    if len(different) == 1 and not next(iter(different)).is_global:
        (address,) = different
        text = f"{count} came from {address}: if that is a proxy, it is not trusted, and all clients share its limits"
        networks = json.dumps([*case.settings.server.trusted_proxies, str(address)])
        return [_graded(text, f"server.trusted_proxies = {networks}", len(addresses))]
    return [ok(TOPIC, f"{count} came from {len(different)} {'address' if len(different) == 1 else 'addresses'}")]


def _graded(text: str, remedy: str, count: int) -> Finding:
    return (warning if count >= _ENOUGH else note)(TOPIC, text, remedy)


def _names(addresses: set[Address]) -> str:
    return ", ".join(sorted(map(str, addresses)))
