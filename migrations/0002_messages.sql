-- Messages of the message socket for people who were not there; delivered when they come, then deleted.
CREATE TABLE messages (
    receiver TEXT NOT NULL,
    -- Counts up for each receiver: the order of delivery.
    number BIGINT NOT NULL,
    -- As it goes onto the wire.
    body BYTEA NOT NULL,
    -- Seconds since 1970-01-01 UTC.
    kept_at BIGINT NOT NULL,
    PRIMARY KEY (receiver, number)
);

CREATE INDEX messages_by_age ON messages (kept_at);
