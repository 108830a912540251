"""The audit log: a record of each change, reading the log, and verifying that it is complete."""
