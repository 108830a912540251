"""Who may do what: roles, access rules, and the decision. No HTTP in here, so `explain` asks the same code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a rule decides."""

    ANYONE = "anyone"
    ANY_USER = "any user"
    ROLES = "roles"


@dataclass(frozen=True, slots=True)
class Access:
    """A rule: anyone, any user, or the users that have one of `roles`, themselves or by inclusion."""

    kind: Kind
    roles: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind is not Kind.ROLES:
            return self.kind.value
        return ", ".join(self.roles) or "nobody"


ANYONE = Access(Kind.ANYONE)
ANY_USER = Access(Kind.ANY_USER)


def only(*roles: str) -> Access:
    """A rule that asks for one of these roles."""
    return Access(Kind.ROLES, roles)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and its reason, in a sentence."""

    allowed: bool
    reason: str


class RoleTable:
    """The configured roles with what each includes, directly or through others."""

    def __init__(self, includes: Mapping[str, Sequence[str]]) -> None:
        self._direct = dict(includes)
        self._all = {name: self._closure(name) for name in includes}

    def _closure(self, name: str) -> frozenset[str]:
        """Follow `includes` to the end. A circle makes its members equal, which is harmless."""
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

    def has(self, role: str, wanted: str) -> bool:
        """Whether `role` is `wanted` or includes it. A role that is configured no more has no rights but its name."""
        return wanted in self._all.get(role, frozenset((role,)))

    def sufficient(self, access: Access) -> frozenset[str] | None:
        """The roles that satisfy a rule; None where the role does not matter."""
        if access.kind is not Kind.ROLES:
            return None
        return frozenset(role for role in self._all if any(self.has(role, wanted) for wanted in access.roles))


def decide(role: str | None, access: Access, roles: RoleTable) -> Decision:
    """Decide for a caller of that role; None is a caller without a token."""
    if access.kind is Kind.ANYONE:
        return Decision(True, "anyone may call it, with or without a token")
    if role is None:
        return Decision(False, f"it takes a token; it is open to: {access}")
    if access.kind is Kind.ANY_USER:
        return Decision(True, "any user with a valid token may call it")
    if role in access.roles:
        return Decision(True, f"it is open to: {access}")
    for wanted in access.roles:
        if roles.has(role, wanted):
            return Decision(True, f"it is open to: {access}; {role} includes {wanted}")
    return Decision(False, f"it is open to: {access}; {role} is not and does not include any of these")
