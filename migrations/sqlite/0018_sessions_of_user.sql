-- The newest living sessions of a user, without reading and sorting all of them.
CREATE INDEX sessions_of_user ON sessions (user_id, id) WHERE ended_at IS NULL;
