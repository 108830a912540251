"""The audit log: reading it, and proving that it is whole. What is in it is written by the store."""
