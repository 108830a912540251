-- Times are milliseconds since the Unix epoch. Ids are UUIDv7 text, so the order of ids is the order of making.

-- What was applied, and the digest of the file it came from: a file that was changed afterwards is noticed.
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL,
    -- The username without case: two users may not differ by case alone.
    username_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Username and name without case, for the text filter: folded by us, so both stores find the same.
    search_text TEXT NOT NULL,
    role TEXT NOT NULL,
    -- NULL: no password was set yet.
    password_hash TEXT,
    password_changed_at INTEGER NOT NULL,
    disabled_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

-- One row a session, however often it is refreshed.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    stepped_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- NULL: it goes on until it expires.
    ended_at INTEGER,
    ip TEXT,
    user_agent TEXT
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (idle_expires_at);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    activates_at INTEGER NOT NULL
) STRICT;
