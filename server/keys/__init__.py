"""The server's own keys: their life, their custody, and what is made with them."""
