"""What makes a new password acceptable (NIST SP 800-63B-4, section 3.1.1.2): its length, and little else."""

from __future__ import annotations

from server.passwords.hasher import MAXIMUM_BYTES, normalised


def check_new_password(password: str, username: str, min_length: int) -> list[str]:
    """What is wrong with it, as messages for its owner; empty if nothing is."""
    messages = []
    raw = normalised(password)
    text = raw.decode("utf-8", "surrogatepass")
    if len(text) < min_length:
        messages.append(f"Use at least {min_length} characters; several words are easy to remember.")
    if len(raw) > MAXIMUM_BYTES:
        messages.append(f"Use at most {MAXIMUM_BYTES} bytes.")
    if len(set(text)) < 5:
        messages.append("Use more than a few different characters.")
    if text.casefold().strip() == username.casefold():
        messages.append("Do not use your username.")
    return messages
