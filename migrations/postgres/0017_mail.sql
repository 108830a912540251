-- Mails that wait, were sent, or were given up (docs/mail.md). Any process of any node sends them.
CREATE TABLE mails (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- The name of its templates.
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    -- Whom it is about; NULL: nobody who has an account.
    user_id TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    language TEXT NOT NULL,
    -- Fixed here, so that a mail which is sent twice can be known by it (RFC 5322 section 3.6.4).
    message_id TEXT NOT NULL,
    -- What its templates are filled with, sealed; NULL once it was sent.
    content BYTEA,
    -- waiting, sent or given_up
    state TEXT COLLATE "C" NOT NULL,
    attempts INTEGER NOT NULL,
    -- Why the last attempt failed.
    reason TEXT,
    created_at BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    -- From then on nobody tries again, and the links in it are of no use any more.
    give_up_at BIGINT NOT NULL,
    -- Which process sends it just now, and until when nobody else does.
    claim TEXT,
    claimed_until BIGINT NOT NULL DEFAULT 0,
    -- When it was sent or given up.
    ended_at BIGINT
);

-- Those that were never tried come first: whatever waits for a mail server holds up nothing new.
CREATE INDEX mails_new ON mails (id) WHERE state = 'waiting' AND attempts = 0;
CREATE INDEX mails_again ON mails (next_attempt_at) WHERE state = 'waiting' AND attempts > 0;
CREATE INDEX mails_by_state ON mails (state, id);
CREATE INDEX mails_ended ON mails (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX mails_of_user ON mails (user_id) WHERE user_id IS NOT NULL;

-- Mails that somebody has asked for by a name that may be nobody's. Whose it is is found out later, so that the time of the
-- answer says nothing.
CREATE TABLE mail_requests (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- reset_password or sign_in
    purpose TEXT NOT NULL,
    -- The name, sealed: it may be a password, typed into the wrong field.
    identifier BYTEA NOT NULL,
    browser_digest BYTEA,
    challenge_id TEXT NOT NULL,
    language TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What a mailed link or code can do, once. Neither is here, only keyed digests.
CREATE TABLE challenges (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- confirm_email, reset_password or sign_in
    purpose TEXT NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The address that it was mailed to.
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL,
    token_digest BYTEA NOT NULL,
    code_digest BYTEA NOT NULL,
    -- Of the browser that asked; NULL: none did.
    browser_digest BYTEA,
    -- The state of the password that it was made for.
    password_changed_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE UNIQUE INDEX challenges_by_token ON challenges (token_digest);
CREATE INDEX challenges_of_user ON challenges (user_id, purpose, id);
CREATE INDEX challenges_by_email ON challenges (email_key, purpose, id);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

-- From where each user has signed in, so that a new place is noticed: digests of user agent and network.
CREATE TABLE known_clients (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client TEXT COLLATE "C" NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client)
);

CREATE INDEX known_clients_by_time ON known_clients (seen_at);

-- Users who have registered and have to confirm an address before the first sign-in. After that time they are deleted.
CREATE TABLE unconfirmed_users (
    user_id TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    confirm_until BIGINT NOT NULL
);

CREATE INDEX unconfirmed_users_by_time ON unconfirmed_users (confirm_until);
