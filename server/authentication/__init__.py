"""Signing in: who proves who they are, and how often that may be tried."""
