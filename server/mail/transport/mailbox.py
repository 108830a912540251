"""Addresses as mail servers take them."""

from __future__ import annotations

from email_validator import validate_email

# The grammar of RFC 5321 section 4.1.2 has them only in quotes, which no address here has.
_ENDS = frozenset(' <>"')
# At the first domain beyond ASCII it loads tables, and then there may be no file left to open.
validate_email("a@ä.example.com", check_deliverability=False)


def smtp_address(address: str) -> str:
    """An address as it is kept, with its domain in A-labels (RFC 5890), so that only a local part needs SMTPUTF8.

    Raises ValueError for what would end the address in a command of SMTP, whoever has let it pass.
    """
    local, _, domain = address.rpartition("@")
    if not local or not address.isprintable() or not _ENDS.isdisjoint(address):
        raise ValueError("is no address that can be sent to")
    if domain.isascii():
        return address
    # The check has passed long ago, so names of a local network are no reason to refuse.
    found = validate_email(f"a@{domain}", check_deliverability=False, globally_deliverable=False)
    return f"{local}@{found.ascii_domain}"
