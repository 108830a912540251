-- Finding users by a part of their name, whatever its length: an index of all pieces of one, two and three characters
-- ("grams") of search_text. Triggers keep it, so whatever writes users has it right. A gram is written in hexadecimal, which
-- makes a token of it whatever its characters are.

-- Names the row in the index. Not the rowid, which VACUUM may change.
ALTER TABLE users ADD COLUMN number INTEGER;
UPDATE users SET number = rowid;
CREATE UNIQUE INDEX users_by_number ON users (number);

CREATE TABLE places (place INTEGER PRIMARY KEY) STRICT;
-- As long as a search_text may be.
INSERT INTO places WITH RECURSIVE count (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM count WHERE place < 1000)
SELECT place FROM count;

CREATE VIRTUAL TABLE user_grams USING fts5 (grams, content = '', detail = none, columnsize = 0, tokenize = 'ascii');

CREATE TRIGGER user_grams_of_insert AFTER INSERT ON users BEGIN
    UPDATE users SET number = (SELECT COALESCE(MAX(number), 0) + 1 FROM users) WHERE id = new.id;
    INSERT INTO user_grams (rowid, grams)
    SELECT number, (
        SELECT group_concat(hex(substr(new.search_text, place, size)))
        FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places
        ON place <= length(new.search_text) + 1 - size
    ) FROM users WHERE id = new.id;
END;

CREATE TRIGGER user_grams_of_update AFTER UPDATE OF search_text ON users WHEN new.search_text <> old.search_text BEGIN
    INSERT INTO user_grams (user_grams, rowid, grams)
    SELECT 'delete', old.number, group_concat(hex(substr(old.search_text, place, size)))
    FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places
    ON place <= length(old.search_text) + 1 - size;
    INSERT INTO user_grams (rowid, grams)
    SELECT old.number, group_concat(hex(substr(new.search_text, place, size)))
    FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places
    ON place <= length(new.search_text) + 1 - size;
END;

CREATE TRIGGER user_grams_of_delete AFTER DELETE ON users BEGIN
    INSERT INTO user_grams (user_grams, rowid, grams)
    SELECT 'delete', old.number, group_concat(hex(substr(old.search_text, place, size)))
    FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places
    ON place <= length(old.search_text) + 1 - size;
END;

INSERT INTO user_grams (rowid, grams)
SELECT number, (
    SELECT group_concat(hex(substr(search_text, place, size)))
    FROM (SELECT 1 AS size UNION ALL SELECT 2 UNION ALL SELECT 3) JOIN places
    ON place <= length(search_text) + 1 - size
) FROM users;

-- Few users have some roles, and few are disabled: found without looking at all the others.
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_disabled ON users (id) WHERE disabled_at IS NOT NULL;
