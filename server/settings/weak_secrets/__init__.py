"""Finds secrets that can be guessed: published ones, words, patterns, and texts that are no secret at all."""
