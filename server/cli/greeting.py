"""The lines that a server prints at its start: its address, and how to log in."""

from __future__ import annotations

import socket


def address_of(listening: socket.socket) -> str:
    """The address of a server, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def sign_in_line(origin: str) -> str:
    """Where people begin, for a server that browsers reach under that origin."""
    return f"Sign in at {origin}/sign-in\n"


def _login_line(address: str, username: str, password: str) -> str:
    return (
        f"  curl -s -X POST -H 'Content-Type: application/json' \\\n"
        f'    -d \'{{"username": "{username}", "password": "{password}"}}\' {address}/login\n'
    )


def usage(address: str, username: str, password: str) -> str:
    """The curl commands for a login and a first request."""
    return (
        f"Log in by a program:\n{_login_line(address, username, password)}"
        f"List the users, with the token of that answer:\n"
        f"  curl -s -H 'Authorization: Bearer <token>' {address}/users\n\n"
    )
