"""Forgotten passwords, and signing in by a mailed code (docs/mail.md)."""
