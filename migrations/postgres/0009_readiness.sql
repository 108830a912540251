-- One row, written again and again to find out whether a write succeeds.
CREATE TABLE readiness (
    id INTEGER PRIMARY KEY,
    writes BIGINT NOT NULL
);
