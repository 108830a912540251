-- What admins let others register with (docs/users.md). The token that is handed over is not here: it is the id under a
-- MAC (server/registration/invitation_token.py).
CREATE TABLE invitations (
    id TEXT COLLATE "C" PRIMARY KEY,
    role TEXT NOT NULL,
    -- NULL: for anybody.
    email TEXT,
    uses BIGINT NOT NULL,
    used BIGINT NOT NULL,
    -- The user who made it, and who may have gone; NULL: made by a command.
    created_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    withdrawn_at BIGINT
);

CREATE INDEX invitations_by_expiry ON invitations (expires_at);
