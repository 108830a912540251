"""Imports what a server needs without what comes along and nobody uses: 60 ms of a start and 6 MB of its memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# OpenSSL reads the certificates of authorities from the file that it names.
_AUTHORITIES = "SSL_CERT_FILE"


def import_lightly() -> None:
    """To be called before anything else imports these."""
    with _hidden("rich"):
        # It would take rich for tracebacks in colours, which server/logs/output.py does not want.
        import structlog  # noqa: F401, PLC0415
    with _no_authorities():
        # It makes two contexts for the TLS of its client, each with a copy of all authorities. The server has no use
        # for that client. A context that is made later knows them all.
        import aiohttp  # noqa: F401, PLC0415


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """An import of it fails meanwhile, as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # the import system is told so
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def _no_authorities() -> Iterator[None]:
    before = os.environ.get(_AUTHORITIES)
    os.environ[_AUTHORITIES] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ[_AUTHORITIES]
        else:
            os.environ[_AUTHORITIES] = before
