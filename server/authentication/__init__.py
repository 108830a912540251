"""Signing in: who proves who they are, and how often that may be tried.

`POST /login` is in server/sessions/handlers.py, since it opens a session.
"""
