-- Times are milliseconds since the Unix epoch. Ids are UUIDv7 text, so the order of ids is the order of making.
-- Ids compare by byte (COLLATE "C"), as in SQLite, whatever the locale of the database. The schema `watchword` is made
-- and selected by the program.

-- What was applied, and the digest of the file it came from: a file that was changed afterwards is noticed.
CREATE TABLE schema_migrations (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    username TEXT NOT NULL,
    -- The username without case: two users may not differ by case alone.
    username_key TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Username and name without case, for the text filter: folded by us, so both stores find the same.
    search_text TEXT NOT NULL,
    role TEXT NOT NULL,
    -- NULL: no password was set yet.
    password_hash TEXT,
    password_changed_at BIGINT NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login_at BIGINT
);

-- One row a session, however often it is refreshed.
CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    step BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    stepped_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- NULL: it goes on until it expires.
    ended_at BIGINT,
    ip TEXT,
    user_agent TEXT
);

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (idle_expires_at);

CREATE TABLE signing_keys (
    kid TEXT COLLATE "C" PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    sealed_private_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL
);
