"""Watchword: a self-hosted auth server for people who build APIs."""

from __future__ import annotations

__version__ = "0.1.0"
