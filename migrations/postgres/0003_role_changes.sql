-- A token is revoked for good by a change of its user's role, also when the role comes back: tokens tell by their `jti`
-- when they were made, and these columns when the role was given. Rises with every change, whatever the clock says.
ALTER TABLE users ADD COLUMN role_changed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE revocations ADD COLUMN role_changed_at BIGINT NOT NULL DEFAULT 0;
