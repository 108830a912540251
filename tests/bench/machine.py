"""What a measurement was made on and with: its figures mean nothing without."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.peers.starting import NODE_FOLDER, PYTHON

_OURS = ("aiohttp", "uvloop", "cryptography", "PyJWT", "aiosqlite", "asyncpg", "bcrypt")
_NODE = ("express", "jsonwebtoken", "fastify", "@fastify/jwt", "bcrypt")
_PEERS = ("fastapi", "PyJWT", "fastapi-users", "SQLAlchemy", "uvicorn", "uvloop", "httptools")
_TELL = (
    "import sys; from importlib.metadata import version; print(*(f'{n} {version(n)}' for n in sys.argv[1:]), sep=', ')"
)


def machine(postgres: str) -> list[str]:
    """One line for each kind of thing."""
    lines = [
        f"{datetime.now(UTC):%d %B %Y}, {_processor()}, {os.cpu_count()} cores, Linux {platform.release()}",
        f"Watchword: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, PostgreSQL {postgres}, "
        + ", ".join(f"{name} {version(name)}" for name in _OURS),
    ]
    if PYTHON.exists():
        told = subprocess.run([PYTHON, "-c", _TELL, *_PEERS], capture_output=True, text=True, check=True)
        lines.append(f"Python peers: {told.stdout.strip()}")
    node = shutil.which("node")
    if node and (NODE_FOLDER / "node_modules").exists():
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        packages = (f"{name} {_node_version(name)}" for name in _NODE)
        lines.append(f"Node peers: Node {told.stdout.strip().removeprefix('v')}, {', '.join(packages)}")
    return lines


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return found[1] if found else platform.processor() or platform.machine()


def _node_version(name: str) -> str:
    package: dict[str, str] = json.loads((NODE_FOLDER / "node_modules" / name / "package.json").read_text("utf-8"))
    return package["version"]
