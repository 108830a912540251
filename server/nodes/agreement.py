"""What has to be the same on all nodes, and how it is told if it is not.

Nodes decide together on data that they share: a token of one is checked by the others, a session that one opened is
refreshed at another. So they need the same settings, except those that are about the one machine or process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from server.nodes.model import ClockAhead, Node
from server.settings import Settings
from server.settings.secrets import texts
from server.settings.section import attributes

# Sections and settings that may differ. A start checks by itself that the master key opens the keys of the store.
_OWN = frozenset({"server", "store", "logs", "metrics"})
_OWN_SETTINGS = frozenset(
    {
        "tokens.cache_size",
        "passwords.hash_threads",
        "passwords.hash_queue",
        "passwords.hash_wait_seconds",
        "keys.master_key",
        "mail.templates",
    }
)
# Below this, clocks that follow NTP do not get even on a bad day.
_LEAST_MS = 1000
_LONGEST_SHOWN = 60


class Finding(NamedTuple):
    """A sentence for the operator. The key is the same as long as it is about the same thing."""

    key: tuple[str, ...]
    text: str


def shared_settings(settings: Settings) -> dict[str, Any]:
    """The settings that all nodes need alike, by name, as JSON values. A secret is a digest."""
    shared: dict[str, Any] = {}
    for section, field in type(settings).model_fields.items():
        value = getattr(settings, section)
        if section in _OWN:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            shared |= {f"{section}.{key}": getattr(value, name) for key, name in attributes(type(value)).items()}
        else:
            shared[section] = value
    # All nodes answer under the same address, and each makes links of it.
    shared["server.public_url"] = settings.server.public_url
    # It has a password, and each node may have a mail server of its own. But all have one, or none has.
    shared["mail.url"] = "set" if settings.mail.enabled else ""
    # The first one is the default.
    shared["pages.languages"] = list(settings.pages.languages)
    shared["tokens.secret"] = [_digest(text) for text in texts(settings.tokens.secret)]
    if settings.tokens.algorithm != "HS256":
        # Then nothing is made with it.
        del shared["tokens.secret"]
    return {name: _plain(value) for name, value in shared.items() if name not in _OWN_SETTINGS}


def _digest(secret: str) -> str:
    # Secrets have 32 bytes that nobody can guess, so a digest without a salt tells nothing of them.
    return hashlib.sha256(f"watchword node {secret}".encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    # In what the settings hold the order means nothing. `shared_settings` makes lists where it does.
    return sorted(value) if isinstance(value, tuple) else value


def differing_settings(mine: Mapping[str, Any], others: Sequence[Node]) -> list[Finding]:
    """A finding for each setting that is another one on some of the other nodes."""
    theirs = [(node, json.loads(node.settings)) for node in others]
    findings = []
    for name, value in mine.items():
        # A node of another version may not have this setting.
        differing = [(node, settings[name]) for node, settings in theirs if settings.get(name, value) != value]
        if differing:
            where = " and ".join(f"{_shown(name, other)} on {node.label}" for node, other in differing)
            text = f"{name} is {_shown(name, value)} here, {where}; it has to be the same on all nodes"
            findings.append(Finding(("setting", name, *(node.id for node, _ in differing)), text))
    return findings


def _shown(name: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if name == "tokens.secret" or len(text) > _LONGEST_SHOWN:
        return f"another ({hashlib.sha256(text.encode()).hexdigest()[:6]})"
    return text


def tolerance_ms(settings: Settings) -> int:
    """How far clocks may be apart: a quarter of the time in which a refresh token may be sent again."""
    return max(_LEAST_MS, settings.sessions.retry_window_seconds * 1000 // 4)


def differing_clocks(ahead: ClockAhead, others: Sequence[Node], tolerance: int) -> list[Finding]:
    """A finding if the clock here is wrong by the database's; else one for each node whose clock is not like it."""
    if abs(ahead.ms) - ahead.uncertain_ms > tolerance:
        text = f"the clock of this machine is {_apart(ahead.ms)} the database's; {_remedy(tolerance)}"
        return [Finding(("clock",), text)]
    return [
        Finding(
            ("clock", node.id),
            f"the clock of {node.label} is {_apart(node.clock_ahead_ms - ahead.ms)} the one of this machine; "
            f"{_remedy(tolerance)}",
        )
        for node in others
        if abs(node.clock_ahead_ms - ahead.ms) - ahead.uncertain_ms > tolerance
    ]


def _apart(ms: int) -> str:
    return f"{abs(ms) / 1000:.1f} s {'ahead of' if ms > 0 else 'behind'}"


def _remedy(tolerance: int) -> str:
    return f"synchronise both by NTP, since nodes bear only {tolerance / 1000:g} s"
