"""The web pages: static files, and the headers that they are sent with."""
