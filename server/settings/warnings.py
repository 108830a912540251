"""What is said about settings that are taken, and that somebody should think about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.settings.secrets import texts, weakness

if TYPE_CHECKING:
    from server.settings.tree import Settings


def weaknesses(settings: Settings) -> list[str]:
    """A warning for each setting that is allowed but weakens security."""
    lines = []
    if settings.passwords.bcrypt_cost < 10:
        lines.append(f"passwords.bcrypt_cost = {settings.passwords.bcrypt_cost} makes stolen hashes cheap to guess")
    if settings.passwords.min_length < 15:
        lines.append(f"passwords.min_length = {settings.passwords.min_length} is below the 15 of NIST SP 800-63B-4")
    if settings.tokens.access_ttl_seconds > 3600:
        lines.append("tokens.access_ttl_seconds is over an hour: services that verify offline see no logout until then")
    if any(weakness(text) for text in texts(settings.keys.master_key[1:])):
        lines.append("keys.master_key still has one that can be guessed: `keys rewrap`, then take it out")
    if settings.registration.mode == "open" and not settings.mail.enabled:
        lines.append(
            "registration.mode = open without mail.url: anybody can make accounts, and nobody confirms the addresses "
            "that they give"
        )
    if any(origin.startswith("http://") for origin in settings.cors.origins):
        lines.append("cors.origins has an http:// origin: whoever is on its network can read what it reads")
    if any(trusted.prefixlen == 0 for trusted in settings.server.trusted_networks):
        lines.append("server.trusted_proxies trusts everybody: any client can say that it is another one")
    if settings.metrics.port and not settings.metrics.is_loopback:
        lines.append(
            f"metrics.host = {settings.metrics.host}: whoever reaches that port reads the metrics, for they ask for no "
            "password; let only your Prometheus reach it"
        )
    if settings.mail.is_on_another_machine and not settings.server.public_url:
        lines.append(
            f"mails go to people elsewhere, and their links lead to {settings.server.public_origin()}, for "
            "server.public_url is empty: whatever runs there on their machines gets the tokens in them"
        )
    return lines


def without_mail(settings: Settings) -> str | None:
    """What is off if no mail is sent."""
    if settings.mail.enabled:
        return None
    return (
        "no mail is sent, since mail.url is empty: nobody can set a forgotten password anew, confirm an address or "
        "hear of sign-ins from new devices, and who invites somebody has to hand over the link"
    )


def one_address_for_all(settings: Settings) -> str | None:
    """A warning if no proxy is trusted: behind a proxy all clients would have its address, and share its limits."""
    if settings.server.trusted_proxies:
        return None
    return (
        "no proxy is trusted: behind one, all clients count as one address until server.trusted_proxies names it, "
        'like ["127.0.0.1", "::1"] for one on this machine; without a proxy all is well'
    )
