-- Calls that are over and whose records have not been handed on to be posted are looked for often. This finds them at once,
-- however many others there are.
CREATE INDEX channels_to_post ON channels (ended_at) WHERE posted = 0;
