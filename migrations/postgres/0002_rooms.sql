-- Rooms: the journal, snapshots, and what lists and searches know of them.
-- Written only by the journal (src/store/journal.rs), in the transaction of the events that cause it. There are no foreign
-- keys: the room's row is locked and checked by every append, and an account that goes away must not make an append fail.

CREATE TABLE rooms (
    id         UUID   NOT NULL PRIMARY KEY,
    -- The kind's tag, such as trip.
    kind       TEXT   NOT NULL,
    -- Rises with each owner; an append under another epoch is refused.
    epoch      BIGINT NOT NULL,
    -- The owner's node; null before the first. A hint, never a proof.
    node       UUID,
    -- The seq of the last event; 0 before the first.
    last_seq   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- When the last event happened.
    updated_at BIGINT NOT NULL,
    title      TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    -- What a list item shows beyond that: a JSON object.
    summary    TEXT   NOT NULL,
    -- When the room ended; it is in no list from then on.
    ended_at   BIGINT
-- Every append updates its room's row. With free space on the page and no index on what changes, these updates touch no index.
) WITH (fillfactor = 60);

CREATE TABLE events (
    room        UUID   NOT NULL,
    seq         BIGINT NOT NULL,
    -- The epoch under which it was appended.
    epoch       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    author      UUID   NOT NULL,
    -- The event's type.
    tag         TEXT   NOT NULL,
    -- The thing of the room that the event is about.
    entity      UUID,
    -- The command's identity and the hash of its body, on the last event of a numbered command.
    client      UUID,
    n           BIGINT,
    fingerprint BIGINT,
    -- The encoded record (MessagePack), as sent to clients.
    bytes       BYTEA  NOT NULL,
    PRIMARY KEY (room, seq)
);
CREATE UNIQUE INDEX events_command ON events (room, author, client, n) WHERE client IS NOT NULL;
CREATE INDEX events_entity ON events (room, entity, seq) WHERE entity IS NOT NULL;

-- The newest snapshot of each room.
CREATE TABLE snapshots (
    room    UUID   NOT NULL PRIMARY KEY,
    -- The epoch of the owner that wrote it.
    epoch   BIGINT NOT NULL,
    -- The seq that the state includes.
    seq     BIGINT NOT NULL,
    -- The version of the state's encoding.
    version BIGINT NOT NULL,
    -- MessagePack.
    state   BYTEA  NOT NULL,
    -- The at of the event with that seq.
    at      BIGINT NOT NULL
);

CREATE TABLE members (
    room      UUID   NOT NULL,
    user_id   UUID   NOT NULL,
    -- viewer, participant, organizer
    role      TEXT   NOT NULL,
    -- The last seq and its instant of the append that made the user a member.
    since_seq BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    PRIMARY KEY (room, user_id)
);
CREATE INDEX members_user ON members (user_id, room);

-- Documents of collections that are too long to stay in a room's state (chat messages).
CREATE TABLE room_items (
    room       UUID   NOT NULL,
    -- Such as messages.
    collection TEXT   NOT NULL,
    id         UUID   NOT NULL,
    -- The seq of the event that made it.
    seq        BIGINT NOT NULL,
    -- A JSON object.
    doc        TEXT   NOT NULL,
    PRIMARY KEY (room, collection, id)
);
CREATE INDEX room_items_seq ON room_items (room, collection, seq);
