"""Argon2 1.3 (RFC 9106) on one thread, with any number of lanes.

`PasswordHasher` of argon2-cffi and Argon2 of `cryptography` start a thread for each lane. Then a few logins would use
all cores, more than `passwords.hash_threads` allows, and the cost of a check could not be measured (failure_cost.py).
The result does not depend on the number of threads.

So this calls the C function by argon2-cffi's binding. The function checks its arguments and returns an error code.
"""

from __future__ import annotations

import hmac
from re import Match

from argon2 import low_level
from argon2.low_level import Type, core, error_to_str, ffi

from server.passwords.encoding import decoded

# Documented for `core`, but missing in the module's __all__.
_lib = low_level.lib  # type: ignore[attr-defined]
VERSION = 0x13
_TYPES = {"id": Type.ID, "i": Type.I, "d": Type.D}


def matches(password: bytes, parts: Match[str]) -> bool:
    """Whether the password fits the hash with these parts: type, m, t, p, salt, hash.

    Raises ValueError if they are no Argon2 hash, and MemoryError.
    """
    expected = decoded(parts["hash"])
    made = derive(
        password,
        decoded(parts["salt"]),
        kind=_TYPES[parts["type"]],
        memory_kib=int(parts["m"]),
        passes=int(parts["t"]),
        lanes=int(parts["p"]),
        size=len(expected),
    )
    return hmac.compare_digest(made, expected)


def derive(password: bytes, salt: bytes, *, kind: Type, memory_kib: int, passes: int, lanes: int, size: int) -> bytes:
    """The tag of RFC 9106, `size` bytes. Raises ValueError, MemoryError."""
    tag = ffi.new("uint8_t[]", size)
    context = {
        "version": VERSION,
        "out": tag,
        "outlen": size,
        "pwd": ffi.from_buffer(password),
        "pwdlen": len(password),
        "salt": ffi.from_buffer(salt),
        "saltlen": len(salt),
        "secret": ffi.NULL,
        "secretlen": 0,
        "ad": ffi.NULL,
        "adlen": 0,
        "t_cost": passes,
        "m_cost": memory_kib,
        "lanes": lanes,
        "threads": 1,
        "allocate_cbk": ffi.NULL,
        "free_cbk": ffi.NULL,
        "flags": _lib.ARGON2_DEFAULT_FLAGS,
    }
    code = core(ffi.new("argon2_context *", context), kind.value)
    if code == _lib.ARGON2_MEMORY_ALLOCATION_ERROR:
        raise MemoryError
    if code != _lib.ARGON2_OK:
        raise ValueError(error_to_str(code))
    return bytes(ffi.buffer(tag))
