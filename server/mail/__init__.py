"""Mail to people (docs/mail.md)."""
