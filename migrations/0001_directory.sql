-- Written once for SQLite and PostgreSQL.

-- Who may enter. While there is nobody, everybody may.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    postfix TEXT NOT NULL
);

-- Rooms with settings of their own. Others need no record: they exist while somebody is in them.
CREATE TABLE rooms (
    name TEXT NOT NULL PRIMARY KEY,
    -- Argon2id, as a PHC string; NULL lets everybody in.
    password_hash TEXT
);

-- Uploads. Their bytes lie in the files directory under `id`.
CREATE TABLE files (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    -- Seconds since 1970-01-01 UTC.
    expires_at BIGINT NOT NULL
);

CREATE INDEX files_by_expiry ON files (expires_at);
