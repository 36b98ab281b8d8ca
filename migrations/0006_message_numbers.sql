-- The number of the last message that was kept: one row. Numbers never come again, so that "delivered up to this number"
-- means the same to every process, also when a mailbox was empty in between.
CREATE TABLE message_numbers (
    last BIGINT NOT NULL
);

INSERT INTO message_numbers (last) SELECT COALESCE(MAX(number), 0) FROM messages;
