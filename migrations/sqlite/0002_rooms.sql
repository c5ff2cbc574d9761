-- Rooms: the journal, snapshots, and what lists and searches know of them.
-- Written only by the journal (src/store/journal.rs), in the transaction of the events that cause it. There are no foreign
-- keys: the room's row is checked and updated by every append, and an account that goes away must not make an append fail.

CREATE TABLE rooms (
    id         BLOB   NOT NULL PRIMARY KEY,
    -- The kind's tag, such as trip.
    kind       TEXT   NOT NULL,
    -- Rises with each owner; an append under another epoch is refused.
    epoch      INTEGER NOT NULL,
    -- The owner's node; null before the first. A hint, never a proof.
    node       BLOB,
    -- The seq of the last event; 0 before the first.
    last_seq   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- When the last event happened.
    updated_at INTEGER NOT NULL,
    title      TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    -- What a list item shows beyond that: a JSON object.
    summary    TEXT   NOT NULL,
    -- When the room ended; it is in no list from then on.
    ended_at   INTEGER
) STRICT;

CREATE TABLE events (
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
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX events_command ON events (room, author, client, n) WHERE client IS NOT NULL;
CREATE INDEX events_entity ON events (room, entity, seq) WHERE entity IS NOT NULL;

-- The newest snapshot of each room.
CREATE TABLE snapshots (
    room    BLOB   NOT NULL PRIMARY KEY,
    -- The epoch of the owner that wrote it.
    epoch   INTEGER NOT NULL,
    -- The seq that the state includes.
    seq     INTEGER NOT NULL,
    -- The version of the state's encoding.
    version INTEGER NOT NULL,
    -- MessagePack.
    state   BLOB   NOT NULL,
    -- The at of the event with that seq.
    at      INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    room      BLOB   NOT NULL,
    user_id   BLOB   NOT NULL,
    -- viewer, participant, organizer
    role      TEXT   NOT NULL,
    -- The last seq and its instant of the append that made the user a member.
    since_seq INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (room, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user_id, room);

-- Documents of collections that are too long to stay in a room's state (chat messages).
CREATE TABLE room_items (
    room       BLOB   NOT NULL,
    -- Such as messages.
    collection TEXT   NOT NULL,
    id         BLOB   NOT NULL,
    -- The seq of the event that made it.
    seq        INTEGER NOT NULL,
    -- A JSON object.
    doc        TEXT   NOT NULL,
    PRIMARY KEY (room, collection, id)
) STRICT;
CREATE INDEX room_items_seq ON room_items (room, collection, seq);
