"""`doctor`: looks at an installation, beside a running server or without one, and names what is wrong."""
