-- Socket tickets that wait to be used.
CREATE TABLE tickets (
    -- SHA-256 of the ticket.
    hash             BLOB    NOT NULL PRIMARY KEY,
    user_id          BLOB    NOT NULL,
    -- The login that asked for it.
    login            BLOB    NOT NULL,
    -- When the access token that asked for it runs out.
    token_expires_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_user ON tickets (user_id, expires_at);
CREATE INDEX tickets_expires ON tickets (expires_at);
