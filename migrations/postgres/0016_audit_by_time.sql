-- Records of a time, and the sign-ins of a day by hour: `event` is here so that counting reads the index alone.
-- outside a transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_by_time ON audit_events (at, seq, event);
