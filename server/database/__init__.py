"""The databases: one protocol, Driver, and two drivers, for SQLite and for PostgreSQL."""
