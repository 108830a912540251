-- Who did what to whom (docs/audit.md). Rows are only ever added, in the transaction of the change that they tell of.
-- The hash of a row covers all its columns and the hash of the row before it, under a key that is not here.
CREATE TABLE audit_events (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    -- No reference to users: what they did stays when they go.
    actor_id TEXT COLLATE "C",
    actor_name TEXT COLLATE "C",
    target_id TEXT COLLATE "C",
    target_name TEXT COLLATE "C",
    via TEXT NOT NULL,
    ip TEXT,
    request_id TEXT,
    -- What has changed, as JSON.
    before_change TEXT,
    after_change TEXT,
    hash TEXT NOT NULL
);

-- The last row's number and hash, so that a tail that was cut off is noticed; and what all who write wait for.
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- Here, since whoever writes a record waits for the head and should not be kept by another statement.
CREATE FUNCTION audit_head_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE audit_head SET seq = NEW.seq, hash = NEW.hash WHERE id = 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_head_follows AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_head_follow();

CREATE INDEX audit_by_event ON audit_events (event, seq);
CREATE INDEX audit_by_actor_id ON audit_events (actor_id, seq) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_by_actor_name ON audit_events (actor_name, seq) WHERE actor_name IS NOT NULL;
CREATE INDEX audit_by_target_id ON audit_events (target_id, seq) WHERE target_id IS NOT NULL;
CREATE INDEX audit_by_target_name ON audit_events (target_name, seq) WHERE target_name IS NOT NULL;
