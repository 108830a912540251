"""The audit log: what is noted with each change, reading it, and proving that it is whole."""
