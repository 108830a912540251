"""Roles, the rules of routes, and the decision. It has no HTTP, so commands can use it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a route requires of its caller: ANYONE, ANY_USER or `only(roles)`.

    The caller needs one of `roles`, or a role that includes one of them. None means that no role is required.
    """

    takes_token: bool
    roles: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.roles is not None:
            return ", ".join(self.roles) or "nobody"
        return "any user" if self.takes_token else "anyone"


ANYONE = AccessRule(takes_token=False)
ANY_USER = AccessRule(takes_token=True)


def only(*roles: str) -> AccessRule:
    """A rule that requires one of these roles."""
    return AccessRule(takes_token=True, roles=roles)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision, and its reason in a sentence."""

    allowed: bool
    reason: str


# The default roles of a Watchword.
DEFAULT_ROLES: Mapping[str, Sequence[str]] = {"customer": (), "admin": ("customer",)}


class Roles:
    """All roles, and which roles each includes, directly or through others."""

    def __init__(self, includes: Mapping[str, Sequence[str]]) -> None:
        self._direct = dict(includes)
        self._all = {name: self._closure(name) for name in includes}

    def _closure(self, name: str) -> frozenset[str]:
        """Follow `includes` to the end. Roles that include each other in a circle are equal, which is harmless."""
        found = {name}
        waiting = [name]
        while waiting:
            for other in self._direct.get(waiting.pop(), ()):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return frozenset(found)

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def names(self) -> list[str]:
        """All roles, in the order of the configuration."""
        return list(self._all)

    def included(self) -> frozenset[str]:
        """All names that roles include, even if a name is not a role itself."""
        return frozenset(name for names in self._direct.values() for name in names)

    def has(self, role: str, wanted: str) -> bool:
        """Whether `role` is `wanted` or includes it. A role that is not in the settings any more includes no other."""
        return wanted in self._all.get(role, frozenset((role,)))

    def sufficient(self, rule: AccessRule) -> frozenset[str] | None:
        """The roles that satisfy a rule; None if the role does not matter."""
        if rule.roles is None:
            return None
        return frozenset(role for role in self._all if any(self.has(role, wanted) for wanted in rule.roles))

    def decide(self, rule: AccessRule, role: str | None) -> Decision:
        """Decide for a caller with that role. None is a caller without a token."""
        if not rule.takes_token:
            return Decision(True, "anyone may call it, with or without a token")
        if role is None:
            return Decision(False, f"it takes a token; it is open to: {rule}")
        if rule.roles is None:
            return Decision(True, "any user with a valid token may call it")
        if role in rule.roles:
            return Decision(True, f"it is open to: {rule}")
        for wanted in rule.roles:
            if self.has(role, wanted):
                return Decision(True, f"it is open to: {rule}; {role} includes {wanted}")
        return Decision(False, f"it is open to: {rule}; {role} is not and does not include any of these")
