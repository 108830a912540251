"""The time of the thread by the work that it does, so a test says exactly what a check costs, on any machine."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import bcrypt
import pytest

# About what they take.
BCRYPT_SECONDS = 60e-6
PBKDF2_SECONDS = 0.33e-6


@dataclass
class Work:
    """What bcrypt and PBKDF2 were asked for, in seconds."""

    seconds: float = 0.0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """They are computed all the same; `time.thread_time` tells what they would take, and nothing else takes time."""
    counted, hashpw, pbkdf2_hmac = Work(), bcrypt.hashpw, hashlib.pbkdf2_hmac

    def count_bcrypt(password: bytes, salt: bytes) -> bytes:
        counted.seconds += 2 ** int(salt[4:6]) * BCRYPT_SECONDS
        return hashpw(password, salt)

    def count_pbkdf2(name: str, password: bytes, salt: bytes, iterations: int, dklen: int | None = None) -> bytes:
        counted.seconds += iterations * PBKDF2_SECONDS
        return pbkdf2_hmac(name, password, salt, iterations, dklen)

    monkeypatch.setattr(bcrypt, "hashpw", count_bcrypt)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", count_pbkdf2)
    monkeypatch.setattr(time, "thread_time", lambda: counted.seconds)
    return counted
