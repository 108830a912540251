-- The times of parts of the audit log, so that records of a time are found without reading all that have it. The program
-- notes each part when it is full, also those from before this table. A part without records has times that fit nothing.
CREATE TABLE audit_times (
    -- How many records a part has; there are small parts and large ones.
    size INTEGER NOT NULL,
    -- Its records are those with a `seq` from part * size + 1 to (part + 1) * size.
    part INTEGER NOT NULL,
    earliest_at INTEGER NOT NULL,
    latest_at INTEGER NOT NULL,
    PRIMARY KEY (size, part)
) STRICT, WITHOUT ROWID;
