-- How a cluster heals by itself: default, none, restart, reschedule. Clusters that are there heal as new ones do.

ALTER TABLE clusters ADD COLUMN healing_policy TEXT NOT NULL DEFAULT 'default';

ALTER TABLE clusters ADD COLUMN heal_after_ms BIGINT NOT NULL DEFAULT 120000;

-- Restarts of a node in a row, none of which is known to have lasted: how many, when the last one was, and how the node ended once
-- it counted as failing (JSON).

ALTER TABLE nodes ADD COLUMN restarts BIGINT NOT NULL DEFAULT 0;

ALTER TABLE nodes ADD COLUMN restarted_ms BIGINT;

ALTER TABLE nodes ADD COLUMN failing TEXT;
