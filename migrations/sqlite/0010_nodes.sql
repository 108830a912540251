-- The servers that use this database now. An SQLite file has only one, which writes nothing here; the table exists since
-- both databases have the same migrations.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    -- The number of the newest migration that its program knows.
    latest_migration INTEGER NOT NULL,
    -- JSON of what has to be the same on all nodes; of secrets only a digest.
    settings TEXT NOT NULL,
    -- Its clock against the one of the database; negative: it is behind.
    clock_ahead_ms INTEGER NOT NULL,
    -- By the clock of the database.
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
