"""Fixtures for hostile tokens."""

from __future__ import annotations

from tests.security.watch import trap, watch

__all__ = ["trap", "watch"]
