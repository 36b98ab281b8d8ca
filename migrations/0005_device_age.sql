-- When a device last logged in or connected, in seconds since 1970-01-01 UTC. 0: before this was recorded.
ALTER TABLE devices ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;

CREATE INDEX devices_by_age ON devices (seen_at);

-- Devices that an administrator has removed: tokens from before are no longer good. Kept as long as such a token could live.
CREATE TABLE removed_devices (
    phone TEXT NOT NULL,
    device_id TEXT NOT NULL,
    -- Seconds since 1970-01-01 UTC.
    removed_at BIGINT NOT NULL,
    PRIMARY KEY (phone, device_id)
);
