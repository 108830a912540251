-- Mails that were sent, or given up, before a time.
-- outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_by_end ON mails (state, ended_at) WHERE ended_at IS NOT NULL;
