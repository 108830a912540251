"""Settings: at the start, config.toml and the environment are read into one frozen tree (`load_settings`).

tree.py has every setting with its default, load.py the way from file and environment to it. A command gets its settings
by `settings_for` (server/cli/context.py), and a service gets those that it needs from app.py.
"""

from __future__ import annotations

from server.settings.load import LoadedSettings, load_settings
from server.settings.tree import Settings

__all__ = ["LoadedSettings", "Settings", "load_settings"]
