"""Importing and exporting accounts (docs/operations.md): `users import` and `users export`."""
