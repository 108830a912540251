"""Looking into a token."""
