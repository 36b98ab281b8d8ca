-- Users who log in with a password. Each user has a number, by which programs know them that want a short one; it never comes
-- again.
ALTER TABLE users ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
-- Argon2id, as a PHC string; NULL: the user cannot log in.
ALTER TABLE users ADD COLUMN password_hash TEXT;

UPDATE users SET number = (SELECT COUNT(*) FROM users AS others WHERE others.id <= users.id);
CREATE UNIQUE INDEX users_by_number ON users (number);
INSERT INTO record_numbers (kind, last) VALUES ('users', (SELECT COUNT(*) FROM users));
