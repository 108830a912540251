"""Whether the server is well, for whoever watches it."""
