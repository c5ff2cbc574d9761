-- Events lie in the order in which they were written, with the key as an index beside them. When they lay by room, every few events of a
-- room split a page in the middle of the tree, which writes four or five: half of all pages that an append wrote.
CREATE TABLE events_new (
    room        BLOB   NOT NULL,
    seq         INTEGER NOT NULL,
    -- The epoch under which it was appended.
    epoch       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    author      BLOB   NOT NULL,
    -- The event's type.
    tag         TEXT   NOT NULL,
    -- The thing of the room that the event is about.
    entity      BLOB,
    -- The command's identity and the hash of its body, on the last event of a numbered command.
    client      BLOB,
    n           INTEGER,
    fingerprint INTEGER,
    -- The encoded record (MessagePack), as sent to clients.
    bytes       BLOB   NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT;
INSERT INTO events_new SELECT room, seq, epoch, at, author, tag, entity, client, n, fingerprint, bytes FROM events ORDER BY at, room, seq;
DROP TABLE events;
ALTER TABLE events_new RENAME TO events;
CREATE UNIQUE INDEX events_command ON events (room, author, client, n) WHERE client IS NOT NULL;
CREATE INDEX events_entity ON events (room, entity, seq) WHERE entity IS NOT NULL;
