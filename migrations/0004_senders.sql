-- Whose share of the space a waiting message counts against: who sent it, and the client address from which it came
-- ('' for this machine, and for what is older than this).
ALTER TABLE messages ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN client TEXT NOT NULL DEFAULT '';
