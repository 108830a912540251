"""Who calls and what they may do: the principal, the rules of the routes, and why a call is allowed or not.

The decision (401, 403) is `guard` in watchword_client/middleware.py.
"""
