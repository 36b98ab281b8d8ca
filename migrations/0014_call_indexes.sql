-- Questions that are asked under the one writer's lock: who else has this push token, and which record of this client is the oldest
-- that may make room; which message waits longest.
CREATE INDEX push_devices_by_token ON push_devices (token);
DROP INDEX channels_by_client;
CREATE INDEX channels_by_client_and_end ON channels (client, ended_at);
CREATE INDEX webhooks_by_age ON webhooks (made_at, id);
