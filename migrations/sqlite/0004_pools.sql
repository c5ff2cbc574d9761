-- What pools need beside their events: deadlines, seats, search by area, bounds over all rooms, and work outside the room.
-- Written only by the journal (src/store/journal.rs), except that done tasks are deleted (src/store/tasks.rs) and that
-- reservations are also made before the event that makes them last.

-- When the room must act by itself next.
ALTER TABLE rooms ADD COLUMN deadline INTEGER;
CREATE INDEX rooms_deadline ON rooms (deadline, id) WHERE deadline IS NOT NULL AND ended_at IS NULL;

-- How much of each part (such as the legs of a way) there is and is taken. The sum is the database's own, by the triggers
-- on room_takers: nothing else writes used, and what would exceed the total is refused whatever the rules say.
CREATE TABLE room_capacity (
    room  BLOB   NOT NULL,
    part  INTEGER NOT NULL,
    used  INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (room, part),
    CONSTRAINT never_oversold CHECK (used >= 0 AND used <= total)
) STRICT, WITHOUT ROWID;

-- Who takes how much of the parts part_from to part_to - 1.
CREATE TABLE room_takers (
    room      BLOB   NOT NULL,
    id        BLOB   NOT NULL,
    part_from INTEGER NOT NULL,
    part_to   INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (room, id),
    CONSTRAINT takes_something CHECK (part_from >= 0 AND part_from < part_to AND count > 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER room_takers_insert AFTER INSERT ON room_takers BEGIN
    UPDATE room_capacity SET used = used + NEW.count WHERE room = NEW.room AND part >= NEW.part_from AND part < NEW.part_to;
    SELECT RAISE(ABORT, 'a part that there is not was taken') WHERE NEW.part_to - NEW.part_from <>
        (SELECT count(*) FROM room_capacity WHERE room = NEW.room AND part >= NEW.part_from AND part < NEW.part_to);
END;

CREATE TRIGGER room_takers_delete AFTER DELETE ON room_takers BEGIN
    UPDATE room_capacity SET used = used - OLD.count WHERE room = OLD.room AND part >= OLD.part_from AND part < OLD.part_to;
END;

CREATE TRIGGER room_takers_update BEFORE UPDATE ON room_takers BEGIN
    SELECT RAISE(ABORT, 'what was taken is freed and taken anew, never changed');
END;

CREATE TRIGGER room_capacity_delete BEFORE DELETE ON room_capacity WHEN OLD.used > 0 BEGIN
    SELECT RAISE(ABORT, 'a part that is taken cannot go');
END;

-- What users have reserved in rooms, of what is bounded over all rooms.
CREATE TABLE reservations (
    user_id BLOB   NOT NULL,
    -- What is bounded, such as pool_requests.
    what    TEXT   NOT NULL,
    room    BLOB   NOT NULL,
    -- When it was made; null once an event made it last.
    at      INTEGER,
    PRIMARY KEY (user_id, what, room)
) STRICT, WITHOUT ROWID;

-- What a search by area finds: a row per part of the way that one can book.
CREATE TABLE listings (
    room        BLOB   NOT NULL,
    -- The section's number in the room.
    idx         INTEGER NOT NULL,
    -- The room's kind.
    kind        TEXT   NOT NULL,
    -- Who may find it; null: everybody.
    group_name  TEXT,
    owner       BLOB   NOT NULL,
    -- When it begins.
    at          INTEGER NOT NULL,
    -- What a seat costs; null: nothing is asked.
    price_minor INTEGER,
    currency    TEXT,
    from_stop   BLOB   NOT NULL,
    to_stop     BLOB   NOT NULL,
    from_lat    REAL   NOT NULL,
    from_lon    REAL   NOT NULL,
    to_lat      REAL   NOT NULL,
    to_lon      REAL   NOT NULL,
    -- H3 cells, see src/store/search/cells.rs.
    from_cell   INTEGER NOT NULL,
    to_cell     INTEGER NOT NULL,
    -- Free seats.
    seats       INTEGER NOT NULL,
    PRIMARY KEY (room, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX listings_cells ON listings (from_cell, to_cell, at) WHERE seats > 0;

-- Work outside the rooms that cause it, until it is done.
CREATE TABLE tasks (
    room       BLOB   NOT NULL,
    -- The seq of the event that causes it, and its number among those of the event.
    seq        INTEGER NOT NULL,
    idx        INTEGER NOT NULL,
    -- A JSON object, see the domain's Task.
    task       TEXT   NOT NULL,
    -- When the event happened.
    at         INTEGER NOT NULL,
    -- How often it has been taken.
    attempts   INTEGER NOT NULL,
    -- When it may be taken next.
    not_before INTEGER NOT NULL,
    PRIMARY KEY (room, seq, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_due ON tasks (not_before, room, seq, idx);
