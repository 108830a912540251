-- E-mail addresses of users. One that is verified is also a name to sign in with, so it belongs to one user. The primary one is
-- copied to users (docs/users.md).
CREATE TABLE emails (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- As it is shown.
    email TEXT NOT NULL,
    -- What addresses are compared by: without case, the domain in its A-label form.
    email_key TEXT COLLATE "C" NOT NULL,
    -- The username_key of a username that is spelled like it. It differs from email_key in a domain that is not ASCII.
    name_key TEXT COLLATE "C" NOT NULL,
    -- NULL: it counts for nothing yet, and several users may have it.
    verified_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX emails_of_user ON emails (user_id, email_key);
CREATE UNIQUE INDEX emails_verified ON emails (email_key) WHERE verified_at IS NOT NULL;
CREATE INDEX emails_by_name_key ON emails (name_key) WHERE verified_at IS NOT NULL;

-- The primary address and since when it is verified, so that a user is one row to read.
ALTER TABLE users ADD COLUMN email TEXT;
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;

-- No username may be another user's verified address: such a row is passed over, as one whose username is taken. Here, since
-- programs of the previous version make and rename users too. What verifies an address holds the same lock, and looks at the
-- usernames itself. The lock is that of Transaction.lock("emails").
CREATE FUNCTION username_is_free () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(
        1465348708, hashtext(CASE TG_TABLE_SCHEMA WHEN 'watchword' THEN 'emails' ELSE TG_TABLE_SCHEMA || '.emails' END)
    );
    IF EXISTS (
        SELECT FROM emails WHERE email_key = NEW.username_key AND verified_at IS NOT NULL AND user_id <> NEW.id
    ) OR EXISTS (
        SELECT FROM emails WHERE name_key = NEW.username_key AND verified_at IS NOT NULL AND user_id <> NEW.id
    ) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER username_of_insert BEFORE INSERT ON users
FOR EACH ROW WHEN (NEW.username_key LIKE '%@%') EXECUTE FUNCTION username_is_free();

CREATE TRIGGER username_of_update BEFORE UPDATE OF username_key ON users
FOR EACH ROW WHEN (NEW.username_key LIKE '%@%') EXECUTE FUNCTION username_is_free();
