"""People who make an account of their own, in an open registration or by an invitation of an admin."""
