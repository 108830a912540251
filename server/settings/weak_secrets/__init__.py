"""Which secrets of the settings somebody would guess: published ones, words, patterns, and what is no secret at all."""
