"""How files are read, written as a whole or not at all, given to their owner, and locked."""
