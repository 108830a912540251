-- How often passwords were tried: per account, per device, per address and in all. Without the names themselves: `key` is a
-- digest, so names that were typed and do not exist are not kept.
CREATE TABLE guesses (
    key TEXT COLLATE "C" PRIMARY KEY,
    -- Tries since the last success, those under way included.
    taken BIGINT NOT NULL,
    -- Of these, the wrong ones.
    failures BIGINT NOT NULL,
    -- No try is taken before. For a budget that refills: when it will be full again.
    retry_at BIGINT NOT NULL,
    touched_at BIGINT NOT NULL
);

CREATE INDEX guesses_by_touch ON guesses (touched_at);
