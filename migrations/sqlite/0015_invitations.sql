-- What admins let others register with (docs/users.md). The token that is handed over is not here: it is the id under a
-- MAC (server/registration/invitation_token.py).
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    -- NULL: for anybody.
    email TEXT,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL,
    -- The user who made it, and who may have gone; NULL: made by a command.
    created_by TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    withdrawn_at INTEGER
) STRICT;

CREATE INDEX invitations_by_expiry ON invitations (expires_at);
