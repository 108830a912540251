"""How often passwords may be tried."""
