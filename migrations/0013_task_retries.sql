-- A scheduled call that could not be made is tried again for a while: the time of the first attempt, in seconds since 1970-01-01
-- UTC; 0: none yet. `fired_at` is that of the newest attempt.
ALTER TABLE call_tasks ADD COLUMN tried_at BIGINT NOT NULL DEFAULT 0;
