"""Starts what Watchword is measured against at the least: bare.py or floor.py."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def plain_server(name: str) -> Iterator[tuple[str, int]]:
    """Its address and its process."""
    command = [sys.executable, "-m", f"tests.bench.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()
