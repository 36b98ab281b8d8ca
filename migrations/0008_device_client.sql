-- Whose share of the devices a device counts against: the client address from which it was recorded first ('' for this
-- machine, and for what is older than this).
ALTER TABLE devices ADD COLUMN client TEXT NOT NULL DEFAULT '';

CREATE INDEX devices_by_client ON devices (client);
