"""Writes the log, for operators."""
