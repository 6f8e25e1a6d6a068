-- How far a transfer has come, for events that tell of one; null for all others.

ALTER TABLE events ADD COLUMN done_bytes INTEGER;

ALTER TABLE events ADD COLUMN total_bytes INTEGER;
