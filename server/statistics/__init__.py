"""The figures of the day: users, sessions, sign-ins by hour, and the queue of hashes."""
