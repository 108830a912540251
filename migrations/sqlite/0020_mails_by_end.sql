-- Mails that were sent, or given up, before a time.
CREATE INDEX mails_by_end ON mails (state, ended_at) WHERE ended_at IS NOT NULL;
