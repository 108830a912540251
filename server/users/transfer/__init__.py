"""Importing and exporting accounts (docs/accounts.md): `users import` and `users export`."""
