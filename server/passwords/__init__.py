"""Passwords: their hashes, the queue that computes hashes, and the policy for new passwords."""
