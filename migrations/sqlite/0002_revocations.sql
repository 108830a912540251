-- What makes access tokens invalid that are already issued: a session that has ended, or a role that has changed.
-- Every process reads on from where it was, by seq; it never goes back, or a change could be passed over.
CREATE TABLE revocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT,
    user_id TEXT,
    role TEXT,
    -- By then the last token that this is about has expired by itself.
    forget_at INTEGER NOT NULL
) STRICT;

CREATE INDEX revocations_by_forget_at ON revocations (forget_at);

-- For the purge, beside sessions_by_expiry.
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
