-- When and by which methods the user of a session has proved who they are, the last time. NULL, as an older program
-- leaves it: with a password, when the session was opened.
ALTER TABLE sessions ADD COLUMN authenticated_at INTEGER;
-- Names of RFC 8176 with a space between them.
ALTER TABLE sessions ADD COLUMN amr TEXT;
