-- As on SQLite, where the order in which documents lie matters; here it only swaps what is the key and what an index.
ALTER TABLE room_items DROP CONSTRAINT room_items_pkey;
ALTER TABLE room_items ADD PRIMARY KEY (room, collection, seq, id);
DROP INDEX room_items_seq;
CREATE UNIQUE INDEX room_items_id ON room_items (room, collection, id);
