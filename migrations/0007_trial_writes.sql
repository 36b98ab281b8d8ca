-- What is written to find out whether anything can be: one row, written over and over.
CREATE TABLE trial_writes (
    id BIGINT NOT NULL PRIMARY KEY,
    -- As much as a few records take, so that it does not fit where they would not.
    content TEXT NOT NULL
);
