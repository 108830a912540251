-- Mails whose content is of no use any more, or that nobody tries any more.
-- outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS mails_with_content ON mails (give_up_at) WHERE content IS NOT NULL;
