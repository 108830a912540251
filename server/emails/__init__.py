"""E-mail addresses of users (docs/users.md)."""
