-- Tries that run are counted apart from those that were wrong. What was counted as taken so far counts as wrong: whether it
-- was is not known.
UPDATE guesses SET failures = taken WHERE taken > failures AND key NOT LIKE 'address:%' AND key NOT LIKE 'all:%';
ALTER TABLE guesses DROP COLUMN taken;

-- `running` tries began in the period of that number, `running_before` in the one before.
ALTER TABLE guesses ADD COLUMN period BIGINT NOT NULL DEFAULT 0;
ALTER TABLE guesses ADD COLUMN running BIGINT NOT NULL DEFAULT 0;
ALTER TABLE guesses ADD COLUMN running_before BIGINT NOT NULL DEFAULT 0;

-- Rows are locked in the order of their keys: those of an account have to come before that of a device.
UPDATE guesses SET key = 'known' || substr(key, 7) WHERE key LIKE 'device:%';
