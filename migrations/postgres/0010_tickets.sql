-- Socket tickets that wait to be used, on whichever node. They live for seconds: the table keeps no log (UNLOGGED), so making and using one
-- waits for no disk, and when the database crashes they are gone and their owners ask for others.
CREATE UNLOGGED TABLE tickets (
    -- SHA-256 of the ticket.
    hash             BYTEA  NOT NULL PRIMARY KEY,
    user_id          UUID   NOT NULL,
    -- The login that asked for it. No reference: checking one would write to the log.
    login            UUID   NOT NULL,
    -- When the access token that asked for it runs out.
    token_expires_at BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX tickets_user ON tickets (user_id, expires_at);
CREATE INDEX tickets_expires ON tickets (expires_at);
