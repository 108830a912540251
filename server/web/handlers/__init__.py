"""Handlers: parse, call a feature, shape the answer. No SQL, no crypto."""
