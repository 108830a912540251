"""Logins and what comes of them."""
