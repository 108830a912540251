"""Files to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps({"role": "customer"} | row) + "\n" for row in rows), "utf-8")
