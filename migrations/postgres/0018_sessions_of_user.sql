-- The newest living sessions of a user, without reading and sorting all of them.
-- outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_of_user ON sessions (user_id, id) WHERE ended_at IS NULL;
