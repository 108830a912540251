"""Passwords: their hashes, the queue that computes them, and what makes one acceptable."""
