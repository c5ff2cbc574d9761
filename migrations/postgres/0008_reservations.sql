-- What lasts and what is held for a command under way, apart: several commands of a user may be under way in the same room, and what
-- becomes of one must not give away the place of another.

DELETE FROM reservations WHERE at IS NOT NULL;
ALTER TABLE reservations DROP COLUMN at;

CREATE TABLE reservations_held (
    id      UUID   NOT NULL PRIMARY KEY,
    user_id UUID   NOT NULL,
    -- What is bounded, such as pool_requests.
    what    TEXT   NOT NULL,
    room    UUID   NOT NULL,
    -- When it was made; what is not given back is forgotten by it.
    at      BIGINT NOT NULL
);
CREATE INDEX reservations_held_user ON reservations_held (user_id, what);
