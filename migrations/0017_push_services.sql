-- The push service of each device's token: one user may have devices of several.
ALTER TABLE push_devices ADD COLUMN service TEXT NOT NULL DEFAULT 'apns';
