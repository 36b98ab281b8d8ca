-- The app that signs access tokens, made on first start where none is configured: one row.
CREATE TABLE apps (
    id TEXT NOT NULL PRIMARY KEY,
    -- The secret that signs, in hexadecimal digits.
    certificate TEXT NOT NULL
);
