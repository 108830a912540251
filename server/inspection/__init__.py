"""Shows the content of a token, and why it is accepted or refused."""
