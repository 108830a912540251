-- Whether this store was moved to another place, or came from one (docs/moving.md). No row: neither.
CREATE TABLE store_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- moved: its data is at `place` now, and it takes no writes. arrived: its data came from `place`.
    state TEXT NOT NULL,
    -- The same in both stores of a move.
    move_id TEXT NOT NULL,
    -- A path, or a URL without its password.
    place TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
