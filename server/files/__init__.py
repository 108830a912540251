"""Files as this program treats them: read as they were meant, written whole, owned, locked."""
