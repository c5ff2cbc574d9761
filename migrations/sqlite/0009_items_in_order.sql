-- Documents lie in the order in which they are read, which saves a tree: an append writes a page less.
CREATE TABLE room_items_new (
    room       BLOB   NOT NULL,
    -- Such as messages.
    collection TEXT   NOT NULL,
    id         BLOB   NOT NULL,
    -- The seq of the event that made it.
    seq        INTEGER NOT NULL,
    -- A JSON object.
    doc        TEXT   NOT NULL,
    PRIMARY KEY (room, collection, seq, id)
) STRICT, WITHOUT ROWID;
INSERT INTO room_items_new (room, collection, id, seq, doc) SELECT room, collection, id, seq, doc FROM room_items ORDER BY room, collection, seq, id;
DROP TABLE room_items;
ALTER TABLE room_items_new RENAME TO room_items;
CREATE UNIQUE INDEX room_items_id ON room_items (room, collection, id);
