-- Accounts, their sessions and the answers kept for Idempotency-Key.
-- Instants are unix milliseconds, ids are UUIDs (see src/store.rs).

CREATE TABLE users (
    id            UUID   NOT NULL PRIMARY KEY,
    -- Normalised: trimmed, lower case.
    email         TEXT   NOT NULL UNIQUE,
    -- Lower case; null until chosen.
    username      TEXT   UNIQUE,
    -- PHC string (argon2id).
    password_hash TEXT   NOT NULL,
    display_name  TEXT   NOT NULL,
    first_name    TEXT,
    last_name     TEXT,
    phone         TEXT,
    bio           TEXT,
    -- IANA name.
    time_zone     TEXT,
    -- BCP 47 tag.
    locale        TEXT,
    -- ISO 4217 code.
    currency      TEXT,
    -- A JSON object of the client's making, at most 8 KiB.
    preferences   TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

-- One row per login: the family of its refresh tokens. A refresh token names its session and generation; only the
-- newest generation is good, the one before it for a short grace after the rotation.
CREATE TABLE sessions (
    id           UUID   NOT NULL PRIMARY KEY,
    user_id      UUID   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation   BIGINT NOT NULL,
    -- SHA-256 of the newest refresh token.
    refresh_hash BYTEA  NOT NULL,
    -- When the newest generation was made.
    rotated_at   BIGINT NOT NULL,
    -- The client's own description (User-Agent), shortened.
    client_label TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    revoked_at   BIGINT,
    -- logout, logout_all, refresh_reused, password_changed
    revoked_why  TEXT
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

-- First answers to POSTs with an Idempotency-Key, kept for 24 h.
CREATE TABLE idempotency (
    -- SHA-256 over user, key and, for callers without a user, the request.
    id           BYTEA  NOT NULL PRIMARY KEY,
    -- Keyed hash over method, path, query and body.
    request_hash BYTEA  NOT NULL,
    -- Null while the first request is running.
    status       BIGINT,
    -- Status line, headers and body, encrypted: answers to logins hold tokens.
    answer       BYTEA,
    -- A running request that has not answered by then is taken for dead.
    locked_until BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
