"""A mixed load that goes on for a while: every kind of request there is, and what the server's figures do meanwhile.

python -m tests.faults.soak --minutes 20 [--store postgres] [--workers 2]
"""
