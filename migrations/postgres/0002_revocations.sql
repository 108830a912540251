-- What makes access tokens invalid that are already issued: a session that has ended, or a role that has changed.
-- Transactions do not commit in the order of their numbers. So a node reads on from the oldest transaction that was still
-- under way when it read last; what it sees twice does no harm, what it missed would.
CREATE TABLE revocations (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_by XID8 NOT NULL DEFAULT pg_current_xact_id(),
    session_id TEXT COLLATE "C",
    user_id TEXT COLLATE "C",
    role TEXT,
    -- By then the last token that this is about has expired by itself.
    forget_at BIGINT NOT NULL
);

CREATE INDEX revocations_by_transaction ON revocations (made_by);
CREATE INDEX revocations_by_forget_at ON revocations (forget_at);

-- For the purge, beside sessions_by_expiry.
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;
