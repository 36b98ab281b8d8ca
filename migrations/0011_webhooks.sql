-- Messages that are to be posted to the operator's back end, until it has taken them.
CREATE TABLE webhooks (
    -- The text by which the receiver knows a message that comes twice.
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    -- Seconds since 1970-01-01 UTC.
    made_at BIGINT NOT NULL,
    -- Number of times that it has been posted.
    attempts BIGINT NOT NULL,
    -- Time of the next attempt, in seconds since 1970-01-01 UTC.
    next_at BIGINT NOT NULL
);

CREATE INDEX webhooks_by_time ON webhooks (next_at);
