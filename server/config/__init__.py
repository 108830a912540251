"""Settings: the tree is in settings.py, where the values come from in load.py."""

from __future__ import annotations

from server.config.load import load_settings
from server.config.settings import Settings

__all__ = ["Settings", "load_settings"]
