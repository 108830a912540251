"""The server's own keys: their life, their custody, and what they sign."""
