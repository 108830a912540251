-- E-mail addresses of users. One that is verified is also a name to sign in with, so it belongs to one user. The primary one is
-- copied to users (docs/users.md).
CREATE TABLE emails (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As it is shown.
    email TEXT NOT NULL,
    -- What addresses are compared by: without case, the domain in its A-label form.
    email_key TEXT NOT NULL,
    -- The username_key of a username that is spelled like it. It differs from email_key in a domain that is not ASCII.
    name_key TEXT NOT NULL,
    -- NULL: it counts for nothing yet, and several users may have it.
    verified_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX emails_of_user ON emails (user_id, email_key);
CREATE UNIQUE INDEX emails_verified ON emails (email_key) WHERE verified_at IS NOT NULL;
CREATE INDEX emails_by_name_key ON emails (name_key) WHERE verified_at IS NOT NULL;

-- The primary address and since when it is verified, so that a user is one row to read.
ALTER TABLE users ADD COLUMN email TEXT;
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;

-- No username may be another user's verified address: such a row is passed over, as one whose username is taken. Here, since
-- programs of the previous version make and rename users too. What verifies an address looks at the usernames itself.
-- Two questions, since SQLite reads the whole table for one with OR.
CREATE TRIGGER username_of_insert BEFORE INSERT ON users WHEN instr(new.username_key, '@') BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM emails WHERE email_key = new.username_key AND verified_at IS NOT NULL AND user_id <> new.id
    ) OR EXISTS (
        SELECT 1 FROM emails WHERE name_key = new.username_key AND verified_at IS NOT NULL AND user_id <> new.id
    );
END;

CREATE TRIGGER username_of_update BEFORE UPDATE OF username_key ON users WHEN instr(new.username_key, '@') BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM emails WHERE email_key = new.username_key AND verified_at IS NOT NULL AND user_id <> new.id
    ) OR EXISTS (
        SELECT 1 FROM emails WHERE name_key = new.username_key AND verified_at IS NOT NULL AND user_id <> new.id
    );
END;
