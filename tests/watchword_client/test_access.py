"""Roles, rules, and what is decided by them."""

from __future__ import annotations

import pytest

from watchword_client.access import ANY_USER, ANYONE, DEFAULT_ROLES, AccessRule, Roles, only

ROLES = Roles({**DEFAULT_ROLES, "support": ("customer",), "owner": ("admin", "support")})


@pytest.mark.parametrize(
    ("role", "access", "allowed", "reason"),
    [
        (None, ANYONE, True, "anyone"),
        ("customer", ANYONE, True, "anyone"),
        (None, ANY_USER, False, "takes a token"),
        ("customer", ANY_USER, True, "any user"),
        (None, only("admin"), False, "takes a token"),
        ("customer", only("admin"), False, "customer is not and does not include"),
        ("admin", only("admin"), True, "open to: admin"),
        ("admin", only("customer"), True, "admin includes customer"),
        ("owner", only("customer"), True, "owner includes customer"),
        ("admin", only("support"), False, "admin is not"),
        ("admin", only(), False, "nobody"),
        ("retired", only("customer"), False, "retired is not"),
    ],
)
def test_decisions_and_their_reasons(role: str | None, access: AccessRule, allowed: bool, reason: str) -> None:
    decision = ROLES.decide(access, role)
    assert decision.allowed is allowed
    assert reason in decision.reason
    if role is not None and access.roles:
        assert (role in (ROLES.sufficient(access) or ())) is allowed


def test_a_circle_of_roles_ends_and_makes_them_equal() -> None:
    roles = Roles({"a": ("b",), "b": ("a",)})
    assert roles.has("a", "b")
    assert roles.has("b", "a")
