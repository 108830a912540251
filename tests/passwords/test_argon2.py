from __future__ import annotations

from typing import Any

import pytest
from argon2.low_level import Type, core

from server.passwords import argon2
from server.passwords.argon2 import derive

# The test vectors of RFC 9106, section 5, have a secret and associated data; ours have neither. These are those of the
# reference implementation's own tests, of version 1.3, for "password" and "somesalt".
VECTORS = [
    (Type.I, 1 << 16, 2, 1, "c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0"),
    (Type.I, 1 << 8, 2, 2, "4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61"),
    (Type.ID, 1 << 16, 2, 1, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
    (Type.ID, 1 << 8, 2, 2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
]


@pytest.mark.parametrize(("kind", "memory_kib", "passes", "lanes", "tag"), VECTORS)
def test_vectors_of_the_reference_implementation(
    kind: Type, memory_kib: int, passes: int, lanes: int, tag: str
) -> None:
    made = derive(b"password", b"somesalt", kind=kind, memory_kib=memory_kib, passes=passes, lanes=lanes, size=32)
    assert made.hex() == tag


def test_it_takes_one_thread_whatever_the_lanes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def count(context: Any, kind: int) -> int:
        asked.append((context.lanes, context.threads))
        return core(context, kind)

    monkeypatch.setattr(argon2, "core", count)
    for lanes in (8, 1):
        derive(b"password", b"somesalt", kind=Type.ID, memory_kib=64, passes=2, lanes=lanes, size=32)
    assert asked == [(8, 1), (1, 1)]


@pytest.mark.parametrize(
    "wrong", [{"salt": b"short"}, {"memory_kib": 1}, {"passes": 0}, {"lanes": 0}, {"size": 1}], ids=str
)
def test_what_argon2_can_not_be_made_of_is_refused(wrong: dict[str, object]) -> None:
    usual = {"salt": b"somesalt", "kind": Type.ID, "memory_kib": 64, "passes": 1, "lanes": 1, "size": 32}
    with pytest.raises(ValueError, match=r".+"):
        derive(b"password", **usual | wrong)  # type: ignore[arg-type]


def test_more_memory_than_there_is_is_an_error_of_memory() -> None:
    with pytest.raises(MemoryError):
        derive(b"password", b"somesalt", kind=Type.ID, memory_kib=2**32 - 1, passes=1, lanes=1, size=32)
