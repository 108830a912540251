-- Finding users by a part of their name, whatever its length: an index of all pieces of one, two and three characters
-- ("grams") of search_text. No extension: making one needs rights that our role may not have.
-- The cost keeps the planner from computing grams row by row where the index has them.
CREATE FUNCTION grams (value TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT array_agg(DISTINCT substr(value, place, size))
    FROM generate_series(1, 3) AS size, generate_series(1, length(value) + 1 - size) AS place
$$;

-- What waits to be merged into the index is read by every search, so not much may wait.
CREATE INDEX users_by_gram ON users USING gin (grams(search_text)) WITH (gin_pending_list_limit = 256);

-- Few users have some roles, and few are disabled: found without looking at all the others.
CREATE INDEX users_by_role ON users (role, id);
CREATE INDEX users_disabled ON users (id) WHERE disabled_at IS NOT NULL;
