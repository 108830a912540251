"""What a mailed link or code can do, once: confirm an address, reset a password, sign in."""
