"""The data edge: one protocol, two drivers."""
