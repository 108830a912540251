"""`server.public_url`: the origin under which browsers reach the server, however it listens.

Browsers compare origins as texts, and so does the check of cookies. So what can only be meant in one way (upper case, a
default port, a slash at the end, a name beyond ASCII) is brought into the form that browsers send, and all else that is
no origin is refused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from server.settings.networks import is_loopback, is_unspecified, reached_at
from server.settings.origins import ADDRESS, as_sent

_EXAMPLE = "https://auth.example.com"


def as_public_url(text: str) -> str:
    """The origin as browsers send it; "" if none is given. Raises ValueError, whose message says what to write."""
    if not text:
        return ""
    parts = ADDRESS.fullmatch(text)
    # The text before an @ may be a password, so it is not repeated.
    named = "this" if "@" in text else repr(text[:100])
    sent = as_sent(parts) if parts and parts["scheme"].lower() in {"http", "https"} else None
    if parts is None or sent is None or (parts["port"] and not parts["port"].strip("0")):
        raise ValueError(f"{named} is no address of a server; write one like {_EXAMPLE}")
    if parts["user"]:
        raise ValueError(f"it would show everybody a user name or password, what stands before the @; write {sent}")
    if (parts["rest"] or "/") != "/":
        raise ValueError(f"{named} has more than scheme, host and port; write {sent}")
    host = urlsplit(sent).hostname or ""
    if is_unspecified(host):
        raise ValueError(f"{host} is an address to listen on, and no browser reaches a server there; write its name")
    if sent.startswith("http:") and not is_for_this_machine(host):
        raise ValueError(
            f"{named} would send passwords over the network in the clear, and browsers keep no cookie of such a page; "
            f"write https:{sent.removeprefix('http:')}, http is for localhost alone"
        )
    return sent


def is_for_this_machine(host: str) -> bool:
    """Whether browsers take the host for their own machine (Secure Contexts, section 3.1)."""
    return is_loopback(host) or host.endswith(".localhost")


def origin_of_listener(host: str, port: int) -> str:
    """The origin under which a browser on this machine reaches a server that listens there."""
    host = reached_at(host)
    written = f"[{host}]" if ":" in host else host
    return f"http://{written}" + ("" if port == 80 else f":{port}")
