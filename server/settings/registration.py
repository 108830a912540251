"""Checks [registration]: the role of who registers, and the domains of their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchword_client.access import Roles

DEFAULT_ROLE = "customer"


def email_domain(text: str) -> str:
    """A domain in its A-label form, in which domains are compared (RFC 5890 section 2.3.2.1). Raises ValueError."""
    # Most settings name no domain, and importing this takes 40 ms.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        if "@" not in text:
            found = validate_email(f"a@{text}", check_deliverability=False, globally_deliverable=False)
            return str(found.ascii_domain)
    except EmailNotValidError:
        pass
    raise ValueError(f"{text[:100]!r} is no domain of addresses; write what follows the @, like example.com")


def registration_problems(role: str, includes: Mapping[str, Sequence[str]], *, closed: bool) -> list[str]:
    """A message if nobody may register with that role."""
    if role not in includes:
        # Who has no role of that name, and lets nobody register, need not write the setting.
        unused = closed and role == DEFAULT_ROLE
        return [] if unused else [f"registration.role: there is no role {role!r}; name one of: {', '.join(includes)}"]
    if Roles(includes).has(role, "admin"):
        return [f"registration.role: {role} has the rights of an admin, and whoever signs up would get them"]
    return []
