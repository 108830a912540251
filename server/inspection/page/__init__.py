"""The page at /inspect."""

from __future__ import annotations

from server.http.pages import load_page

INSPECT = load_page(__name__, "inspect.html")
