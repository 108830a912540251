"""Moving accounts in and out (docs/operations.md): `users import` and `users export`."""
