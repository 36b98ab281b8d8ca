-- Conferences: rooms that are entered with PINs. Other rooms need no record.
CREATE TABLE conferences (
    alias TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- Argon2id, as PHC strings. Without a PIN for hosts everybody is a host; without one for guests they need none.
    host_pin_hash TEXT,
    guest_pin_hash TEXT,
    -- 1 if guests may enter, else 0.
    guests_allowed BIGINT NOT NULL,
    -- 1 if guests wait until a host is there, else 0.
    waits_for_host BIGINT NOT NULL
);
