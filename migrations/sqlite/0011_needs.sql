-- What a program has to know to use the store after a migration: 0, or the number of another migration. So an older
-- program tells whether it may go on beside what a newer one has added.
ALTER TABLE schema_migrations ADD COLUMN needs INTEGER NOT NULL DEFAULT 0;
