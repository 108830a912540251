"""What Watchword is measured beside: small applications of other frameworks that do the same work.

tests/bench/beside.py starts them. Each has one user, whose password and bcrypt cost come from the environment, and
prints its address.
"""
