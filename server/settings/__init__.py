"""Settings: the tree is in settings.py, where the values come from in load.py."""

from __future__ import annotations

from server.settings.load import LoadedSettings, load_settings
from server.settings.tree import Settings

__all__ = ["LoadedSettings", "Settings", "load_settings"]
