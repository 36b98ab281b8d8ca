-- Numbers of records by the client address whose share they use ('' for this machine), and of all ('*'): whoever adds one reads
-- two rows here, and counts none.
CREATE TABLE record_counts (
    kind TEXT NOT NULL,
    client TEXT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY (kind, client)
);

INSERT INTO record_counts (kind, client, held) SELECT 'calls', client, COUNT(*) FROM channels GROUP BY client;
INSERT INTO record_counts (kind, client, held) SELECT 'calls', '*', COUNT(*) FROM channels;

-- People in calls of whom nothing was heard for long: looked for often, whatever else is kept.
CREATE INDEX channel_members_in ON channel_members (seen_at, id) WHERE joined_at > 0 AND left_at = 0;

-- Which finished task is the oldest, of all or of one client.
CREATE INDEX call_tasks_finished ON call_tasks (fired_at, id) WHERE status > 1;
CREATE INDEX call_tasks_finished_by_client ON call_tasks (client, fired_at, id) WHERE status > 1;

-- Number of events of a call that are not kept, because there are as many as are kept of one.
ALTER TABLE channels ADD COLUMN events_left_out BIGINT NOT NULL DEFAULT 0;
