-- The servers that use this database now (docs/postgresql.md). Each writes its row again and again, and rows that nobody
-- writes are deleted. So the nodes can say what does not fit together, and `migrate --check` which versions still run.
CREATE TABLE nodes (
    id TEXT COLLATE "C" PRIMARY KEY,
    hostname TEXT NOT NULL,
    pid BIGINT NOT NULL,
    version TEXT NOT NULL,
    -- The number of the newest migration that its program knows.
    latest_migration BIGINT NOT NULL,
    -- JSON of what has to be the same on all nodes; of secrets only a digest.
    settings TEXT NOT NULL,
    -- Its clock against the one of the database; negative: it is behind.
    clock_ahead_ms BIGINT NOT NULL,
    -- By the clock of the database.
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
