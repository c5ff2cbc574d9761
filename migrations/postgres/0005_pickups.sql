-- Exact pick-up points of riders. They never enter a room; read and written over REST alone (src/store/pickups.rs).

CREATE TABLE pool_pickups (
    room    UUID NOT NULL,
    user_id UUID NOT NULL,
    -- The claim that it belongs to: with the claim it is over.
    claim   UUID NOT NULL,
    -- A JSON object.
    doc     TEXT NOT NULL,
    PRIMARY KEY (room, user_id)
);
