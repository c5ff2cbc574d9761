-- What pools need beside their events: deadlines, seats, search by area, bounds over all rooms, and work outside the room.
-- Written only by the journal (src/store/journal.rs), except that done tasks are deleted (src/store/tasks.rs) and that
-- reservations are also made before the event that makes them last.

-- When the room must act by itself next.
ALTER TABLE rooms ADD COLUMN deadline BIGINT;
CREATE INDEX rooms_deadline ON rooms (deadline, id) WHERE deadline IS NOT NULL AND ended_at IS NULL;

-- How much of each part (such as the legs of a way) there is and is taken. The sum is the database's own, by the triggers
-- on room_takers: nothing else writes used, and what would exceed the total is refused whatever the rules say.
CREATE TABLE room_capacity (
    room  UUID   NOT NULL,
    part  BIGINT NOT NULL,
    used  BIGINT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (room, part),
    CONSTRAINT never_oversold CHECK (used >= 0 AND used <= total)
);

-- Who takes how much of the parts part_from to part_to - 1.
CREATE TABLE room_takers (
    room      UUID   NOT NULL,
    id        UUID   NOT NULL,
    part_from BIGINT NOT NULL,
    part_to   BIGINT NOT NULL,
    count     BIGINT NOT NULL,
    PRIMARY KEY (room, id),
    CONSTRAINT takes_something CHECK (part_from >= 0 AND part_from < part_to AND count > 0)
);

CREATE FUNCTION room_takers_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parts BIGINT;
BEGIN
    UPDATE room_capacity SET used = used + NEW.count WHERE room = NEW.room AND part >= NEW.part_from AND part < NEW.part_to;
    GET DIAGNOSTICS parts = ROW_COUNT;
    IF parts <> NEW.part_to - NEW.part_from THEN
        RAISE EXCEPTION 'a part that there is not was taken' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER room_takers_insert AFTER INSERT ON room_takers FOR EACH ROW EXECUTE FUNCTION room_takers_insert();

CREATE FUNCTION room_takers_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE room_capacity SET used = used - OLD.count WHERE room = OLD.room AND part >= OLD.part_from AND part < OLD.part_to;
    RETURN NULL;
END $$;
CREATE TRIGGER room_takers_delete AFTER DELETE ON room_takers FOR EACH ROW EXECUTE FUNCTION room_takers_delete();

CREATE FUNCTION room_takers_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was taken is freed and taken anew, never changed' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER room_takers_update BEFORE UPDATE ON room_takers FOR EACH ROW EXECUTE FUNCTION room_takers_update();

CREATE FUNCTION room_capacity_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a part that is taken cannot go' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER room_capacity_delete BEFORE DELETE ON room_capacity FOR EACH ROW WHEN (OLD.used > 0)
    EXECUTE FUNCTION room_capacity_delete();

-- What users have reserved in rooms, of what is bounded over all rooms.
CREATE TABLE reservations (
    user_id UUID   NOT NULL,
    -- What is bounded, such as pool_requests.
    what    TEXT   NOT NULL,
    room    UUID   NOT NULL,
    -- When it was made; null once an event made it last.
    at      BIGINT,
    PRIMARY KEY (user_id, what, room)
);

-- What a search by area finds: a row per part of the way that one can book.
CREATE TABLE listings (
    room        UUID   NOT NULL,
    -- The section's number in the room.
    idx         BIGINT NOT NULL,
    -- The room's kind.
    kind        TEXT   NOT NULL,
    -- Who may find it; null: everybody.
    group_name  TEXT,
    owner       UUID   NOT NULL,
    -- When it begins.
    at          BIGINT NOT NULL,
    -- What a seat costs; null: nothing is asked.
    price_minor BIGINT,
    currency    TEXT,
    from_stop   UUID   NOT NULL,
    to_stop     UUID   NOT NULL,
    from_lat    DOUBLE PRECISION NOT NULL,
    from_lon    DOUBLE PRECISION NOT NULL,
    to_lat      DOUBLE PRECISION NOT NULL,
    to_lon      DOUBLE PRECISION NOT NULL,
    -- H3 cells, see src/store/search/cells.rs.
    from_cell   BIGINT NOT NULL,
    to_cell     BIGINT NOT NULL,
    -- Free seats.
    seats       BIGINT NOT NULL,
    PRIMARY KEY (room, idx)
);
CREATE INDEX listings_cells ON listings (from_cell, to_cell, at) WHERE seats > 0;

-- Work outside the rooms that cause it, until it is done.
CREATE TABLE tasks (
    room       UUID   NOT NULL,
    -- The seq of the event that causes it, and its number among those of the event.
    seq        BIGINT NOT NULL,
    idx        BIGINT NOT NULL,
    -- A JSON object, see the domain's Task.
    task       TEXT   NOT NULL,
    -- When the event happened.
    at         BIGINT NOT NULL,
    -- How often it has been taken.
    attempts   BIGINT NOT NULL,
    -- When it may be taken next.
    not_before BIGINT NOT NULL,
    PRIMARY KEY (room, seq, idx)
);
CREATE INDEX tasks_due ON tasks (not_before, room, seq, idx);
