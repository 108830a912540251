-- Every key that the server keeps: those that sign, and the one that refresh and reset tokens are derived from.
ALTER TABLE signing_keys RENAME TO server_keys;
-- The secret half, sealed under the master key; empty where there is none here.
ALTER TABLE server_keys RENAME COLUMN sealed_private_key TO sealed;
-- The longest life that a token signed with it was ever given.
ALTER TABLE server_keys ADD COLUMN longest_ttl_seconds INTEGER NOT NULL DEFAULT 86400;
ALTER TABLE server_keys ADD COLUMN revoked_at INTEGER;
