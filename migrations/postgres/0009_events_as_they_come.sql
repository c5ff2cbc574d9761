-- SQLite only: PostgreSQL's tables are in the order of writing already.
SELECT 1;
