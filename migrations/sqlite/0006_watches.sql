-- Searches that people keep, to be told of new pools. Written by the outbox (src/store/watches.rs).

CREATE TABLE watches (
    -- The inbox, and the search's id in it.
    room        BLOB NOT NULL,
    id          BLOB NOT NULL,
    -- The seq of the event that said so last; an older one that comes late changes nothing.
    seq         INTEGER NOT NULL,
    user_id     BLOB NOT NULL,
    -- The search: a JSON object; null once it is dropped.
    search      TEXT,
    -- The H3 cell of the start, see src/store/search/cells.rs.
    from_cell   INTEGER NOT NULL,
    PRIMARY KEY (room, id)
) STRICT;
CREATE INDEX watches_cell ON watches (from_cell) WHERE search IS NOT NULL;
